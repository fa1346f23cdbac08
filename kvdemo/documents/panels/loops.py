"""Describe the panel `loops`: the sources of two strategies side by side."""

from __future__ import annotations

from typing_extensions import TypedDict


class SourceLine(TypedDict):
    """A line of a file; `only` is true where the other file has no such line."""

    number: int
    text: str
    only: bool


class Loop(TypedDict):
    """The source of a strategy."""

    strategy: str
    name: str
    path: str
    lines: list[SourceLine]


class LoopsPanel(TypedDict):
    """The two loops side by side. `pairs` are the lines that face each other: indices into both, null for a gap."""

    loops: list[Loop]
    pairs: list[list[int | None]]
