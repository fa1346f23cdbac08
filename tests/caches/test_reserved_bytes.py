"""Bytes in use of a preallocated cache, against a growing cache of the same positions, for layers of every kind."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.cache_utils import (
    Cache,
    DynamicIndexedLayer,
    DynamicLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionAndStaticFullAttentionLayer,
    LinearAttentionLayer,
    StaticIndexedLayer,
    StaticLayer,
    StaticSlidingWindowLayer,
)

from kvdemo.caches.reserved_bytes import Reserved
from kvdemo.models.network import cache_layers

HEADS, WIDTH, INDEX = 2, 8, 4


class StaticWithMore(StaticLayer):
    """A layer as some models bring their own: a third tensor, under any name, beside keys and values."""

    def __init__(self, room: int) -> None:
        super().__init__(room)
        self.marks: torch.Tensor | None = None


class DynamicWithMore(DynamicLayer):
    marks: torch.Tensor | None = None


def feed(layer: Any, positions: int) -> None:
    """Give the layer as many positions, as a model does."""
    if isinstance(layer, LinearAttentionLayer):
        layer.update_conv_state(torch.zeros(1, 6, 4))
    if hasattr(layer, "keys"):
        layer.update(*(torch.zeros(1, HEADS, positions, WIDTH) for _ in range(2)))
    if hasattr(layer, "indexer_keys"):
        layer.update_indexer(torch.zeros(1, positions, INDEX))
        new, old = torch.zeros(3, 1, positions, dtype=torch.int64), layer.indexer_position_ids
        layer.indexer_position_ids = new if old is None else torch.cat([old, new], dim=-1)
    if isinstance(layer, StaticWithMore):
        layer.marks = torch.zeros(1, 1, layer.max_cache_len, INDEX)
    if isinstance(layer, DynamicWithMore):
        layer.marks = torch.zeros(1, 1, layer.get_seq_length(), INDEX)


def held(cache: Cache) -> int:
    return sum(tensor.nbytes for layer in cache.layers for tensor in cache_layers.layer_tensors(layer))


KINDS: dict[str, tuple[Any, Any]] = {
    "plain": (StaticLayer, DynamicLayer),
    "indexed": (StaticIndexedLayer, DynamicIndexedLayer),
    "states": (lambda _: LinearAttentionLayer(), LinearAttentionLayer),
    "keys and states": (LinearAttentionAndStaticFullAttentionLayer, LinearAttentionAndFullAttentionLayer),
    "a third tensor": (StaticWithMore, DynamicWithMore),
}


@given(
    st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=4), st.integers(1, 9), st.integers(0, 9), st.data()
)
def test_what_is_in_use_is_what_a_growing_cache_holds(kinds: list[str], prompt: int, new: int, data: Any) -> None:
    room = prompt + new + data.draw(st.integers(0, 9))
    static, growing = (Cache(layers=[KINDS[kind][n](*([room] * (n == 0))) for kind in kinds]) for n in range(2))
    reserved = None
    for n, positions in enumerate([prompt, *[1] * new]):
        for layer in [*static.layers, *growing.layers]:
            feed(layer, positions)
        reserved = reserved or Reserved(static)  # type: ignore[arg-type]
        assert reserved.used(prompt + n) == held(growing)
        assert reserved.bytes == held(static) >= reserved.used(prompt + n)


@pytest.mark.parametrize("positions", [1, 7, 8, 20])
def test_a_window_is_in_use_up_to_its_size(positions: int) -> None:
    cache = Cache(layers=[StaticSlidingWindowLayer(max_cache_len=40, sliding_window=8)])
    feed(cache.layers[0], positions)
    a_position = 2 * HEADS * WIDTH * 4  # keys and values, float32
    assert Reserved(cache).used(positions) == min(positions, 8) * a_position  # type: ignore[arg-type]
