"""Compare the windows that a configuration states with what the masks of the model's code let its layers look at.

A cache of transformers reads its windows from the configuration. Where the model's code does not use them (a stray
`sliding_window` in the config.json of a Llama), that cache drops positions which the model still looks at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from transformers import Cache
from transformers.cache_utils import (
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionAndSlidingWindowAttentionLayer,
    LinearAttentionAndStaticFullAttentionLayer,
    LinearAttentionAndStaticSlidingWindowAttentionLayer,
    StaticLayer,
    StaticSlidingWindowLayer,
)

from kvdemo.models.network.masks import MaskFunction, looks_past

_C = TypeVar("_C", bound=Cache)


@dataclass(frozen=True)
class Stated:
    """The windows that a configuration states.

    unused    of layers that look past them, by the layer's number, in positions
    unproven  numbers of the layers whose mask could not be seen
    """

    unused: Mapping[int, int]
    unproven: frozenset[int]


def read(cache: Cache, looked: Mapping[int, Sequence[MaskFunction]]) -> Stated:
    """Compare the windows of a cache's layers with the masks that the layers were handed (`masks.watched`)."""
    unused, unproven = {}, set()
    for number, window in of(cache).items():
        past = [looks_past(function, window) for function in looked.get(number, ())]
        if True in past:
            unused[number] = window
        elif not past or None in past:
            unproven.add(number)
    return Stated(unused, frozenset(unproven))


def of(cache: Cache) -> dict[int, int]:
    """List the windows of a cache's layers in positions, the newest included; by the number of the layer."""
    windows = {n: getattr(layer, "sliding_window", None) for n, layer in enumerate(cache.layers)}
    return {number: window for number, window in windows.items() if isinstance(window, int)}


def without(cache: _C, layers: Iterable[int], max_cache_len: int = 0) -> _C:
    """Put a layer that keeps every position in the place of some layers of an empty cache; return the cache.

    `max_cache_len` are the positions that a layer of fixed size reserves.
    """
    for number in layers:
        cache.layers[number] = _whole(cache.layers[number], max_cache_len)
    return cache


def _whole(layer: Any, max_cache_len: int) -> Any:
    """Make a layer of the same kind without a window; one of a kind that is not known here stays."""
    kind = type(layer)
    if kind is DynamicSlidingWindowLayer:
        return DynamicLayer()
    if kind is StaticSlidingWindowLayer:
        return StaticLayer(max_cache_len)
    if kind is LinearAttentionAndSlidingWindowAttentionLayer:
        return LinearAttentionAndFullAttentionLayer(number_of_states=len(layer.conv_states))
    if kind is LinearAttentionAndStaticSlidingWindowAttentionLayer:
        return LinearAttentionAndStaticFullAttentionLayer(max_cache_len, number_of_states=len(layer.conv_states))
    return layer
