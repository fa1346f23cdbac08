"""Describe the panel `formulas`: the formulas of the cache with a model's numbers."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict


class Term(TypedDict):
    """`coefficient` · batch^batch · c^length, where c is the length, or what one of these makes of it.

    cap    at most so many positions count
    chunk  the text is cut into chunks of so many positions, and those of the newest one count
    group  each whole group of so many positions counts as one
    part   what the term counts, where a value is made of several
    """

    coefficient: float
    batch: int
    length: int
    cap: NotRequired[int]
    chunk: NotRequired[int]
    group: NotRequired[int]
    part: NotRequired[Literal["weights", "attention", "cache"]]


class Formula(TypedDict):
    """One formula with this model's numbers.

    formula   as it is written in the field
    numbers   the same with this model's numbers in it
    terms     whose sum is the value, so that a reader can move batch and length; empty where it is not a number
    value     at the batch and length that were asked for; null where it is not a number
    """

    name: str
    formula: str
    numbers: str
    unit: str
    terms: list[Term]
    value: float | None
    about: str


class FormulasPanel(TypedDict):
    """The formulas of the cache with this model's numbers."""

    batch: int
    length: int
    formulas: list[Formula]
