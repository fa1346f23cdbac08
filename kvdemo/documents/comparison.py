"""Define the document of a comparison of two documents, A and B."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from kvdemo.documents.common import Summary, Version


class Difference(TypedDict):
    """Something that both files state, and state differently."""

    field: str
    a: str | int | float | bool | None
    b: str | int | float | bool | None


class Tokens(TypedDict):
    """How many tokens a lane's runs wrote: each number that occurs."""

    a: list[int]
    b: list[int]


class Speedup(TypedDict):
    """How many times as fast B is, with its interval; `text` has the numbers that are not null, as people read them."""

    ratio: float
    low: float | None
    high: float | None
    text: list[str]


class Figure(TypedDict):
    """One figure of a lane on both sides.

    ratio        B's mean over A's: above 1 B is slower
    low, high    the 95 % interval of the ratio; null where none can be given
    significant  whether the interval leaves out 1; null without one
    statement    the figure's name, and `claim`: what the runs allow to say
    """

    a: Summary
    b: Summary
    ratio: float
    low: float | None
    high: float | None
    significant: bool | None
    statement: str
    claim: str
    speedup: Speedup


class Figures(TypedDict, total=False):
    """The figures that both sides have."""

    e2e_s: Figure
    ttft_s: Figure
    tpot_s: Figure
    level_s: Figure


class Lane(TypedDict):
    """A lane that both files have.

    strategy   its id
    name       with its settings; where the two were set differently, with those that are the same
    same_work  the same asked for, the same settings, and as many tokens written
    warnings   among them, what the two were set to differently
    """

    strategy: str
    name: str
    same_work: bool
    tokens: Tokens
    metrics: Figures
    warnings: list[str]


class ComparisonDocument(TypedDict):
    """Two races or measurements against each other. Settings of a lane that differ are among `differences` too.

    like_with_like  some lane has figures in both, and all lanes did the same work
    only_a, only_b  lanes of one file, named with their settings
    """

    schema: Version
    kind: Literal["comparison"]
    like_with_like: bool
    headline: str
    differences: list[Difference]
    lanes: list[Lane]
    only_a: list[str]
    only_b: list[str]
    notes: list[str]
