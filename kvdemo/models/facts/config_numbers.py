"""Read numbers from a configuration that no tensor shows: query heads, context length.

A configuration may hold a list where others have a number, None, or one number for each layer, of which transformers
refuses to give one for all (AmbiguousGlobalPerLayerAttributeError, a RuntimeError).
"""

from __future__ import annotations

from typing import Any

_CONTEXT = ("max_position_embeddings", "max_seq_len")


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


def context_length(config: Any) -> int | None:
    """Return the positions that a text part was made for; None where its configuration sets no limit."""
    return one_number(config, *_CONTEXT)
