"""Describe the panel `roles`: which of query, key and value of a past position is read again."""

from __future__ import annotations

from typing_extensions import TypedDict


class Row(TypedDict):
    """A position of the text in one layer: how far appending a token changes its query, key and value.

    `weight` is how much the first appended token's query reads of this position, the mean over heads.
    """

    position: int
    piece: str
    query_difference: float
    key_difference: float
    value_difference: float
    weight: float


class RolesPanel(TypedDict):
    """Which of query, key and value of a past position a later token reads.

    asking              text of the first token that is appended, whose query reads the others
    query_shape, ...    of the text with what was appended
    bytes, query_bytes  keys and values that the cache holds of the rows' positions in all layers, and what the queries
                        of these positions would add to it
    note                one sentence where appending changes tokens of the text, or where it is too long to be shown
    """

    layer: int
    layers: int
    appended: str
    asking: str
    note: str | None
    query_shape: list[int]
    key_shape: list[int]
    value_shape: list[int]
    rows: list[Row]
    bytes: int
    query_bytes: int
