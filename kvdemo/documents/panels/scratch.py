"""Describe the panel `scratch`: attention with preallocated buffers, written from scratch."""

from __future__ import annotations

from typing_extensions import TypedDict


class ScratchStep(TypedDict):
    """One call of the attention from scratch: positions written at `start_pos`, and its difference from the whole."""

    start_pos: int
    positions: int
    buffer_used: int
    largest_difference: float


class ScratchPanel(TypedDict):
    """Attention with preallocated key and value buffers, fed token by token, against full causal attention.

    source, path  the file of this repository that was run
    buffer_shape  (batch, max_seq_len, heads, head_dim)
    """

    path: str
    source: str
    buffer_shape: list[int]
    steps: list[ScratchStep]
    largest_difference: float
    tolerance: float
    holds: bool
