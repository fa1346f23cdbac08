"""Keep a cache of constant size: the first positions (attention sinks) for good, and a ring of the latest."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import DynamicLayer

from kvdemo.caches import rotary
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import fitting_cache
from kvdemo.models.network.forward import cache_bytes


class SinkLayer(DynamicLayer):
    """One layer. It grows until it is full; from then on a new position takes the place of the oldest in the ring.

    Where a position lies does not matter to attention: keys carry their positions, and all that is held is visible to
    a newer query.
    """

    def __init__(self, sinks: int, window: int) -> None:
        super().__init__()
        self.sinks, self.window, self.seen = sinks, window, 0

    def update(self, key_states: Tensor, value_states: Tensor, *_args: Any, **_kwargs: Any) -> tuple[Tensor, Tensor]:
        """Take in keys and values, (1, heads, positions, head_dim): the whole prompt at first, then one position.

        The queries of the prompt see all of it, also when not all of it is kept.
        """
        before, self.seen = self.seen, self.seen + key_states.shape[-2]
        if self.seen <= self.sinks + self.window:
            grown: tuple[Tensor, Tensor] = super().update(key_states, value_states)
            return grown
        if before == 0:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = self._kept(key_states), self._kept(value_states)
            return key_states, value_states
        place = self.sinks + (before - self.sinks) % self.window
        self.keys[..., place : place + 1, :] = key_states  # one position: a second one would be refused here
        self.values[..., place : place + 1, :] = value_states
        return self.keys, self.values

    def _kept(self, states: Tensor) -> Tensor:
        """Pick of a long prompt the first positions and the latest, these in the order in which the ring goes on."""
        latest = states[..., -self.window :, :].roll((self.seen - self.sinks) % self.window, dims=-2)
        return torch.cat((states[..., : self.sinks, :], latest), dim=-2)

    def get_seq_length(self) -> int:
        """Count the positions seen: the next token's position."""
        return self.seen

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Count the positions that are there for the next queries, and those missing before them."""
        seen = self.seen + query_length
        held = seen if self.seen == 0 else min(seen, self.sinks + self.window)
        return held, seen - held


class SinkCache(Cache):
    """The layers together, and the sinks' keys as they were first computed, from which they are moved.

    Angles count from query to key, so a sink that is to look as if it lay right before the window is moved towards it
    by as many positions as have been dropped. Each move starts from the first keys: rounding does not pile up.
    """

    def __init__(self, model: LoadedModel, sinks: int, window: int) -> None:
        super().__init__(layers=[SinkLayer(sinks, window) for _ in fitting_cache.dynamic_cache(model.network).layers])
        self._network, self._sinks, self._room = model.network, sinks, sinks + window
        self._first: Tensor | None = None

    @property
    def seen(self) -> int:
        return int(self.get_seq_length())

    @property
    def held(self) -> int:
        """Positions held."""
        return min(self.seen, self._room)

    @property
    def bytes(self) -> int:
        """All tensors held."""
        return cache_bytes(self) + (0 if self._first is None else self._first.nbytes)

    @property
    def exact_bytes(self) -> int:
        """What a cache that drops nothing would hold of as many positions."""
        return cache_bytes(self) // self.held * self.seen

    def move_sinks(self) -> None:
        """Move the sinks to where the next token expects them: right before the window that ends with it."""
        dropped = self.seen + 1 - self._room
        if self._sinks == 0 or dropped <= 0:
            return
        if self._first is None:
            self._first = torch.stack([layer.keys[..., : self._sinks, :] for layer in self.layers])
        moved = rotary.rotate_keys(self._network, self._first, dropped)
        for layer, keys in zip(self.layers, moved, strict=True):
            layer.keys[..., : self._sinks, :] = keys
