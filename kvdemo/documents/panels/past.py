"""Describe the panel `past`: hidden states before and after a text is appended."""

from __future__ import annotations

from typing_extensions import TypedDict

from kvdemo.documents.panels.cannot import Cannot


class LayerDifference(TypedDict):
    """The largest difference of a layer's hidden states at the positions that both texts share.

    `layer` 0 is the embedding, layer n what the n-th block puts out, the last one after the final norm.

    scale      largest of the values
    tolerance  what rounding may make of the difference at its position: the panel's share of the largest value there
    holds      whether the difference of each position is within the tolerance of that position
    """

    layer: int
    largest_difference: float
    scale: float
    tolerance: float
    holds: bool


class PastPanel(TypedDict):
    """Hidden states before and after a text is appended.

    shared         tokens that both texts have in common; fewer than the text has where appending changes its tokens
    note           one sentence where that is so, or where the text is too long to be shown whole
    tolerance      what a difference may be as a share of the largest value of its position and layer, or of 1 where
                   that is smaller: 1e-4, and eight roundings in a format of 16 bits
    holds          whether every difference is within the tolerance
    bidirectional  the same with a mask that lets each position look ahead
    """

    text: str
    appended: str
    shared: int
    note: str | None
    tolerance: float
    layers: list[LayerDifference]
    holds: bool
    bidirectional: list[LayerDifference] | Cannot
