"""List the tensors of a layer of a transformers cache: keys and values, an indexer's keys, states."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch


def layer_tensors(layer: Any) -> Iterator[torch.Tensor]:
    """Yield every tensor that the layer keeps of the text, once."""
    return (tensor for _, tensor in named_tensors(layer))


def named_tensors(layer: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the same tensors with the name of their attribute; one of several states has its number after the name.

    Private attributes and tensors of fewer than two dimensions are bookkeeping: a window's size, a length.
    """
    seen: list[torch.Tensor] = []
    for name, value in vars(layer).items():
        if value is None or name.startswith("_"):
            continue
        for key, tensor in value.items() if isinstance(value, dict) else ((None, value),):
            if isinstance(tensor, torch.Tensor) and tensor.ndim > 1 and not any(tensor is other for other in seen):
                seen.append(tensor)
                yield (name if key is None else f"{name}.{key}"), tensor
