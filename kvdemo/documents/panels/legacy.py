"""Describe the panel `legacy`: the cache as a tuple of keys and values, and through a file."""

from __future__ import annotations

from typing_extensions import TypedDict


class LegacyPanel(TypedDict):
    """The cache as a tuple of (keys, values) a layer, there and back, and through a file.

    shapes      of the first layer's keys and values; `other_shapes` those of layers that differ
    tokens      what the model writes from the cache as it was
    converted   the same after the cache was converted there and back
    resumed     the same after it was written to a file and read from it
    note        one sentence where the text is too long to be taken whole
    """

    layers: int
    shapes: list[list[int]]
    other_shapes: list[list[list[int]]]
    bytes: int
    file_bytes: int
    note: str | None
    tokens: list[int]
    pieces: list[str]
    converted: list[int]
    resumed: list[int]
    same: bool
