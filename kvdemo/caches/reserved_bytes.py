"""Count the bytes that a preallocated cache has reserved, and how many of them are in use."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from transformers import StaticCache

from kvdemo.models.network import cache_layers


class Reserved:
    """Counts the bytes of one StaticCache. Its tensors never change their size, so they are counted once."""

    def __init__(self, cache: StaticCache) -> None:
        """Take a cache that has been run once: it reserves its tensors when it gets the first keys."""
        self._cache = cache

    @cached_property
    def bytes(self) -> int:
        """Bytes reserved."""
        return sum(tensor.nbytes for layer in self._cache.layers for tensor in cache_layers.layer_tensors(layer))

    @cached_property
    def _growing(self) -> list[tuple[int, int]]:
        """For each layer that fills up: the positions it has room for, and the bytes that each takes."""
        return [(layer.keys.shape[-2], _bytes_a_position(layer)) for layer in self._cache.layers if _fills(layer)]

    def used(self, positions: int) -> int:
        """Count the bytes in use after n positions. States that do not grow are in use from the start."""
        empty = sum(max(room - positions, 0) * size for room, size in self._growing)
        return self.bytes - empty


def _fills(layer: Any) -> bool:
    return getattr(layer, "keys", None) is not None


def _bytes_a_position(layer: Any) -> int:
    return int((layer.keys.nbytes + layer.values.nbytes) // layer.keys.shape[-2])
