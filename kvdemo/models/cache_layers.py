"""What a layer of a transformers cache holds, wherever it holds it: keys and values, and states that do not grow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch


def tensors(layer: Any) -> Iterator[torch.Tensor]:
    """Every tensor that the layer keeps of the text."""
    for held in (getattr(layer, "keys", None), getattr(layer, "values", None)):
        if held is not None:
            yield held
    yield from states(layer)


def states(layer: Any) -> Iterator[torch.Tensor]:
    """Its convolution and recurrent states: a tensor, or several by number, or none."""
    for attribute in ("conv_states", "recurrent_states"):
        found = getattr(layer, attribute, None)
        for state in found.values() if isinstance(found, dict) else [found]:
            if state is not None:
                yield state
