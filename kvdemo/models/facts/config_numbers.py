"""Read numbers that the tensors of a cache do not show, from the configuration: query heads, context length.

A configuration may hold a list where others have a number, None, or one number for each layer, of which transformers
refuses to give one for all (AmbiguousGlobalPerLayerAttributeError, a RuntimeError).
"""

from __future__ import annotations

import math
from statistics import mean
from typing import Any

from torch import nn
from transformers import PreTrainedModel

_CONTEXT = ("max_position_embeddings", "max_seq_len")
_EXPERTS_A_TOKEN = (
    "num_experts_per_tok",
    "num_experts_per_token",
    "moe_topk",
    "moe_top_k",
    "top_k_experts",
    "moe_k",
)


def whole_numbers(config: Any, name: str) -> list[int]:
    """List the whole numbers above 0 that an attribute has, in all layers; each once, sorted."""
    try:
        stated = getattr(config, name, None)
    except RuntimeError:
        stated = [getattr(layer, name, None) for layer in config.per_layer_config]
    listed = stated if isinstance(stated, list | tuple) else [stated]
    return sorted({value for value in listed if type(value) is int and value > 0})


def one_number(config: Any, *names: str) -> int | None:
    """Return the first of some attributes that has one number for all layers; None where none has."""
    return next((found[0] for name in names if len(found := whole_numbers(config, name)) == 1), None)


def layer_count(text: Any) -> int:
    """Count the layers of a text part."""
    return int(text.num_hidden_layers)


def logits_for_all_layers(text: Any, positions: int) -> int:
    """Return for how many last positions logits are to be asked, so that every layer runs all `positions`.

    Layers that share keys leave out positions whose logits are not kept (Gemma 4).
    """
    return positions if getattr(text, "num_kv_shared_layers", 0) else 1


def context_length(network: PreTrainedModel) -> int | None:
    """Return the positions that a model's text part was made for; None where its configuration sets no limit.

    Where the table of positions has a row for padding (RoBERTa), the first position has the row after it. The
    configuration counts all rows.
    """
    stated = one_number(network.config.get_text_config(decoder=True), *_CONTEXT)
    words = network.get_input_embeddings()
    tables = (part for part in network.modules() if isinstance(part, nn.Embedding) and part is not words)
    unused = [
        table.padding_idx + 1 for table in tables if table.num_embeddings == stated and table.padding_idx is not None
    ]
    return stated - max(unused) if stated and unused else stated


def stated_experts(text: Any, names: tuple[str, ...] = _EXPERTS_A_TOKEN) -> float | None:
    """Return the first of some numbers of experts that a text part states; the mean where layers differ.

    `names` are those of the experts that one token is sent to, unless others are given.
    """
    found = (whole_numbers(place, name) for place in (text, getattr(text, "ffn_config", None)) for name in names)
    return next((mean(values) for values in found if values), None)


def experts_a_token(text: Any) -> int:
    """Count the experts that one token is sent to; 1 for a model without."""
    return math.ceil(stated_experts(text) or 1)
