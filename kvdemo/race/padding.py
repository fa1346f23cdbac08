"""Say where padding inside a text makes a model number positions in one way with a cache, and in another without.

A text in a race has no padding but what somebody wrote into the prompt, `<pad>` say, or what the model itself chose.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from kvdemo.models.loaded import LoadedModel


def row_of_padding(model: LoadedModel) -> int | None:
    """Return the row for padding in a model's table of positions; None where it has no such row.

    It is the id of the token of padding as well (transformers' create_position_ids_from_input_ids).
    """
    tables = (getattr(module, "position_embeddings", None) for module in model.network.modules())
    rows = (table.padding_idx for table in tables if isinstance(table, nn.Embedding))
    return next((row for row in rows if row is not None), None)


def counted_in_a_cache_alone(model: LoadedModel, text: Sequence[int]) -> list[str]:
    """Say that lanes with a cache may write another text than those without. `text` are ids that were passed through.

    RoBERTa's code numbers the tokens of a pass that are no padding, and goes on after the length of the cache, which
    counts padding too.
    """
    row = row_of_padding(model)
    if row is None or not (found := list(text).count(row)):
        return []
    return [
        f"The text holds padding (the id {row}), {found} {'time' if found == 1 else 'times'}. The code of {model.id} "
        "gives it no position in the pass that runs it, and counts it as one when it lies in a cache: a lane with a "
        "cache may write another text than one without, and neither is wrong."
    ]
