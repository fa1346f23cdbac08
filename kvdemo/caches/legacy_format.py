"""Convert a cache to and from the legacy format: for each layer a pair of tensors, keys and values.

It is what transformers handed out before it had cache classes; the tensors have the shape (rows, kv_heads, positions,
head_dim). Version 5 removed its converters, and none are needed: a cache iterates over its layers as (keys, values,
sliding window), and a DynamicCache can be built from pairs.

A pair says nothing of a window, of states, or of numbers packed into fewer bits. The model's configuration knows of
windows, so a layer with a window is taken as long as it still has all of its positions (`activate_past_recording`); a
layer that keeps anything else is refused. One that keeps nothing, because it reads another layer's keys, has no pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import Cache, DynamicCache, PreTrainedModel
from transformers.cache_utils import DummyLayer, DynamicLayer, DynamicSlidingWindowLayer

from kvdemo.core.errors import BadInput
from kvdemo.models.device import dtype_name
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import fitting_cache
from kvdemo.models.network.cache_argument import cache_kwargs

Legacy = tuple[tuple[Tensor, Tensor], ...]
#: For each layer the shapes of its keys and its values.
Shapes = list[list[list[int]]]

# What each network writes for a single position: finding out takes a pass.
_probed: WeakKeyDictionary[PreTrainedModel, Shapes] = WeakKeyDictionary()


def unavailable_reason(model: LoadedModel) -> str | None:
    """Say why this model's cache cannot be written as pairs of keys and values; None if it can."""
    return _more_than_pairs(fitting_cache.dynamic_cache(model.network))


def recording(model: LoadedModel) -> DynamicCache:
    """Make an empty cache of the model's layers that can be converted: layers with a window keep all positions."""
    cache = fitting_cache.dynamic_cache(model.network)
    cache.activate_past_recording()
    return cache


def fill(cache: DynamicCache, legacy: Legacy) -> DynamicCache:
    """Fill an empty cache with copies of these keys and values, on their device."""
    for layer, (keys, values) in zip(_holding(cache), legacy, strict=True):
        layer.update(keys, values)
    return cache


def to_legacy(cache: Cache) -> Legacy:
    """Return keys and values of each layer. The tensors are the cache's own; its growth does not change them.

    Raises BadInput for a cache that holds anything else, or nothing yet.
    """
    if reason := _more_than_pairs(cache):
        raise BadInput(f"This cache cannot be converted: {reason}")
    pairs = tuple((layer.keys, layer.values) for layer in _holding(cache))
    if not pairs or any(tensor is None for pair in pairs for tensor in pair):
        raise BadInput("This cache holds nothing yet: run the model with it before it is converted.")
    return pairs


def from_legacy(legacy: Sequence[tuple[Tensor, Tensor]], model: LoadedModel) -> DynamicCache:
    """Make a cache that the model can go on with. Raises BadInput for what this model's layers cannot have written."""
    check_pairs(model)
    check_shapes("The cache", shapes_of(legacy), model)
    check_dtype(legacy, model)
    return fill(fitting_cache.dynamic_cache(model.network), on(legacy, model.device))


def on(legacy: Sequence[tuple[Tensor, Tensor]], device: torch.device | str) -> Legacy:
    """Move the pairs to a device; what is there already is not copied."""
    return tuple((keys.to(device), values.to(device)) for keys, values in legacy)


def check_dtype(legacy: Sequence[tuple[Tensor, Tensor]], model: LoadedModel) -> None:
    """Raise BadInput for numbers of another format than the model's."""
    if other := {dtype_name(tensor.dtype) for pair in legacy for tensor in pair} - {dtype_name(model.dtype)}:
        raise BadInput(
            f"The cache holds {other.pop()} and {model.id} runs in {dtype_name(model.dtype)}: use one of the two."
        )


def check_pairs(model: LoadedModel) -> None:
    """Raise BadInput for a model whose cache cannot be written as pairs."""
    if reason := unavailable_reason(model):
        raise BadInput(f"{model.id} cannot take a cache in the legacy format: {reason}")


def _more_than_pairs(cache: Cache) -> str | None:
    """Say what this cache keeps that a pair of keys and values does not state; None if there is nothing."""
    for layer in _holding(cache):
        # The class itself: those that keep states and packed numbers are derived from it.
        if type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer):
            return f"it has layers that are not plain keys and values ({type(layer).__name__})."
        if layer.is_initialized and layer.keys.shape[-2] < layer.get_seq_length():
            return "its layers with a window have dropped positions: let them record the past."
    return None


def _holding(cache: Cache) -> list[Any]:
    """List the layers that keep something."""
    return [layer for layer in cache.layers if not isinstance(layer, DummyLayer)]


def shapes_of(legacy: Sequence[tuple[Tensor, Tensor]]) -> Shapes:
    """Return the shapes of keys and values in each layer."""
    return [[list(tensor.shape) for tensor in pair] for pair in legacy]


@torch.inference_mode()
def check_shapes(what: str, shapes: Shapes, model: LoadedModel) -> None:
    """Compare with what the model itself writes for a single position; rows and positions must agree everywhere.

    Raises BadInput, which begins with `what`.
    """
    if model.network not in _probed:
        probe = fitting_cache.dynamic_cache(model.network)
        one = torch.zeros((1, 1), dtype=torch.long, device=model.device)
        model.network(input_ids=one, **cache_kwargs(model.network, probe))
        _probed[model.network] = shapes_of(to_legacy(probe))
    rows, positions = _rows_and_positions(shapes)
    expected = [[[rows, s[1], positions, s[3]] for s in pair] for pair in _probed[model.network]]
    if not rows or not positions or shapes != expected:
        raise BadInput(f"{what} has other shapes than {model.id} writes: use one that this model wrote.")


def _rows_and_positions(shapes: Any) -> tuple[int, int]:
    try:
        rows, _, positions, _ = shapes[0][0]
    except (LookupError, TypeError, ValueError):
        return 0, 0
    return rows, positions
