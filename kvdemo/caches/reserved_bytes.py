"""Count the bytes that a preallocated cache has reserved, and how many of them are in use."""

from __future__ import annotations

from typing import Any

from transformers import StaticCache

from kvdemo.models.network import cache_layers


class Reserved:
    """Counts the bytes of one StaticCache. What it reserves keeps its size, and so do states: they are counted once.

    A layer may also keep a tensor that transformers reserves no room for. It grows with the text, and is counted again
    each time.
    """

    def __init__(self, cache: StaticCache) -> None:
        """Take a cache that has been run once: it reserves its tensors when it gets the first keys."""
        self._fixed = 0
        self._rooms: list[tuple[int, int]] = []  # for each reserved tensor its positions, and the bytes that each takes
        self._growing: list[tuple[Any, str]] = []
        for layer in cache.layers:
            room = getattr(layer, "max_cache_len", None)
            for name, tensor in cache_layers.named_tensors(layer):
                if "." in name:  # a state
                    self._fixed += tensor.nbytes
                elif tensor.shape[-2] == room:  # keys, values and index keys: (..., positions, width)
                    self._fixed += tensor.nbytes
                    self._rooms.append((room, tensor.nbytes // room))
                else:
                    self._growing.append((layer, name))

    @property
    def bytes(self) -> int:
        """Bytes held: what is reserved, the states, and what has grown beside them."""
        return self._fixed + sum(getattr(layer, name).nbytes for layer, name in self._growing)

    def used(self, positions: int) -> int:
        """Count the bytes in use after n positions. States that do not grow are in use from the start."""
        return self.bytes - sum(max(room - positions, 0) * size for room, size in self._rooms)
