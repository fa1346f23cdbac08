"""Describe the panel `rounding`: cached against uncached logits, and what rounding decides."""

from __future__ import annotations

from typing_extensions import TypedDict

from kvdemo.documents.panels.cannot import Cannot


class LogitStep(TypedDict):
    """Cached against uncached logits that one token is chosen from. Those without a cache are of one pass over all.

    token     written here in all formats; piece is its text
    margin    logit of the best token over that of the second, without a cache
    same      whether both choose the same token
    cached    text of the token that has the highest logit with a cache
    uncached  the same without a cache
    """

    token: int
    piece: str
    largest_difference: float
    margin: float
    same: bool
    cached: str
    uncached: str


class Format(TypedDict):
    """The comparison in one number format; the text is that of the model's own format throughout."""

    dtype: str
    steps: list[LogitStep]
    largest_difference: float
    smallest_margin: float


class UnsupportedFormat(Cannot):
    """A number format in which the model cannot run here."""

    dtype: str


class SplitSum(TypedDict):
    """A float32 sum of random numbers, whole and split in two; `exact` is the sum without rounding."""

    numbers: int
    whole: float
    split: float
    exact: float
    difference: float


class ScatterAdd(TypedDict):
    """A scatter-add with repeated indices, several times over.

    results  how many different results there were
    """

    numbers: int
    slots: int
    runs: int
    results: int
    largest_difference: float
    sentence: str


class RoundingPanel(TypedDict):
    """Why cached and uncached logits are equal up to rounding, and what that decides.

    formats  those that are compared so far
    note     one sentence where the text is too long to be taken whole
    """

    formats: list[Format | UnsupportedFormat]
    note: str | None
    sum: SplitSum
    scatter: ScatterAdd
