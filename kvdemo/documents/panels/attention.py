"""Describe the panel `attention`: the weights of one head."""

from __future__ import annotations

from typing_extensions import TypedDict


class AttentionPanel(TypedDict):
    """Attention weights of one head of one layer over the text; `rows[q][k]` is query q's weight on key k, k <= q.

    layers, heads  how many there are to choose from
    """

    layer: int
    head: int
    layers: int
    heads: int
    rows: list[list[float]]
