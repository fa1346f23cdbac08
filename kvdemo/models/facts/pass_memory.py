"""Measure on the meta device what a forward pass takes: there tensors have shapes and no numbers.

A formula for each architecture would always miss one: scores of latent attention, the chunks of a state space, masks of
windows, embeddings for each layer, logits that a class computes of all positions. So a copy of the network runs the
pass without numbers, and the bytes of all tensors that live at a time are added up.
"""

from __future__ import annotations

import copy
import logging
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import DynamicCache, PreTrainedModel

from kvdemo.core.errors import BadInput
from kvdemo.models.facts import meta_run
from kvdemo.models.network import cache_argument, cache_layers

#: Devices that PyTorch has a fused kernel of attention for.
FUSED_ON = ("cpu", "cuda")
#: Operations of a pass over one position; the largest models make a third of them.
MOST_OPERATIONS = 50_000
#: So many more may a text take; a pass that computes one position after the other (Mamba) takes more.
MORE_OPERATIONS = 5_000

log = logging.getLogger(__name__)


class PassMemory:
    """The bytes that a pass of a network over a text takes, beside weights and cache. Each length is measured once.

    Without a cache, and with one, whose own bytes are left out. The two differ where a pass holds the keys of several
    layers for others that share them (Gemma 3n and 4): with a cache these are the cache's own tensors.
    """

    def __init__(self, network: PreTrainedModel, name: str) -> None:
        self._device_type = network.device.type
        self._name = name
        self._measured: dict[tuple[int, bool], int | None] = {}
        self._most_operations = MOST_OPERATIONS
        self._network = _try(name, lambda: _copy_to_meta(network))

    def bytes(self, positions: int, *, cached: bool = False, roughly: bool = False) -> int | None:
        """Return the most bytes that are held while one row runs; None where the network cannot be measured.

        `cached` is for a text that runs into an empty DynamicCache: counted is what is held beside that one. So that
        few lengths are measured, one is rounded up: by a sixteenth at the most, `roughly` to a power of two.
        """
        step = 1 << ((positions - 1).bit_length() if roughly else max(0, positions.bit_length() - 5))
        return self._at(-(-positions // step) * step, cached)

    def _at(self, positions: int, cached: bool = False) -> int | None:
        if (positions, cached) not in self._measured:
            self._measured[positions, cached] = self._measure(positions, cached)
        return self._measured[positions, cached]

    def _measure(self, positions: int, cached: bool) -> int | None:
        if (network := self._network) is None or (positions > 1 and self._at(1, cached) is None):
            return None
        try:
            ran = _try(self._name, lambda: _run(network, positions, cached, self._device_type, self._most_operations))
        except _TooLongError:
            # it keeps a state: twice the text takes twice the memory
            half = self._at(positions // 2, cached) if positions > 1 else None
            return None if half is None else 2 * half
        if ran is None:
            return None
        live, kept = ran
        if positions == 1:
            self._most_operations = live.operations + MORE_OPERATIONS
        return int(live.most) - kept


class _TooLongError(BaseException):
    """More operations than there is time for: no fault of the network, so nothing between may catch it."""


def _try(name: str, measure: Callable[[], Any]) -> Any:
    try:
        return meta_run.try_build(name, measure)
    except BadInput as error:
        log.info("The memory of a pass is estimated by formula: %s", error)
        return None


def _copy_to_meta(network: PreTrainedModel) -> PreTrainedModel:
    """Copy a network, but not the numbers of its weights."""
    known: dict[int, Any] = {id(buffer): buffer.to("meta") for buffer in network.buffers()}
    for weight in network.parameters():
        known[id(weight)] = nn.Parameter(weight.to("meta"), requires_grad=False)
    return copy.deepcopy(network, known)


def _run(
    network: PreTrainedModel, positions: int, cached: bool, device_type: str, most_operations: int
) -> tuple[_LiveBytes, int]:
    """Run one row, and count what it holds, and the bytes that its cache has in the end. Raises _TooLongError."""
    cache = DynamicCache(config=network.config) if cached else None
    with meta_run.on_meta(), _Kernels(device_type):
        ids = torch.zeros((1, positions), dtype=torch.long)
        with _LiveBytes([*network.parameters(), *network.buffers(), ids], most_operations) as live:
            network(input_ids=ids, logits_to_keep=1, **cache_argument.cache_kwargs(network, cache))
    return live, 0 if cache is None else _storage_bytes(cache)


def _storage_bytes(cache: DynamicCache) -> int:
    """Count the bytes that a cache keeps in memory: all of a tensor of which a layer's window is a view."""
    tensors = [tensor for layer in cache.layers for _, tensor in cache_layers.named_tensors(layer)]
    return sum({tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes() for tensor in tensors}.values())


class _LiveBytes(TorchDispatchMode):
    """Adds up the bytes of all tensors that operations have made and that somebody holds, but for those given."""

    def __init__(self, given: Iterable[Tensor], most_operations: int) -> None:
        super().__init__()
        self._known = {tensor.untyped_storage()._cdata for tensor in given}
        self._most_operations = most_operations
        self._now = self.most = self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations += 1
        if self.operations > self._most_operations:
            raise _TooLongError
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        return made

    def _add(self, storage: torch.UntypedStorage) -> None:
        if (key := storage._cdata) not in self._known:
            self._known.add(key)
            self._now += storage.nbytes()
            self.most = max(self.most, self._now)
            weakref.finalize(storage, self._remove, key, storage.nbytes())

    def _remove(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._now -= size


class _Kernels(TorchFunctionMode):
    """Has kernels give tensors of the shapes that they give on a device, where the meta device takes another way."""

    def __init__(self, device_type: str) -> None:
        super().__init__()
        self._device_type = device_type
        self._shapes: dict[Any, Callable[..., Tensor]] = {
            functional.scaled_dot_product_attention: self._attention,
            torch.Tensor.nonzero: _everywhere,
            torch.nonzero: _everywhere,
        }

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        shaped = self._shapes.get(func)
        return (shaped or func)(*args, **(kwargs or {}))

    def _attention(
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, *_: Any, **__: Any
    ) -> Tensor:
        """Hold what the kernel of attention holds, and give what it gives."""
        on_cpu = self._device_type == "cpu"
        held = [] if attn_mask is None else [attn_mask.to(query.dtype)]  # a mask of truths becomes one of numbers
        if self._device_type not in FUSED_ON or (on_cpu and key.shape[-1] != value.shape[-1]):
            # no fused kernel (the CPU's wants values as wide as keys): the scores of all pairs are written down
            pairs = query.shape[-2], key.shape[-2]
            scores = query.new_empty((*query.shape[:-2], *pairs))
            held += [scores, torch.empty_like(scores), scores == 0, query.new_empty(pairs)]
            return query.new_empty((*query.shape[:-1], value.shape[-1]))
        if on_cpu:
            held.append(
                torch.empty(_cpu_workspace(query.shape[-2], query.shape[-1], key.shape[-2]), dtype=torch.float32)
            )
        # fused kernels lay their output out as the query is, so that joining the heads copies nothing
        return torch.empty_like(query if query.shape[-1] == value.shape[-1] else query[..., : value.shape[-1]])


def _cpu_workspace(queries: int, width: int, keys: int) -> int:
    """Count the float32 numbers that the CPU's fused kernel of attention works in: a block of scores for each thread.

    Source: cpu_flash_attention in PyTorch's aten/src/ATen/native/cpu/FlashAttentionKernel.cpp.
    """
    block = 256 if queries >= 768 else 64 if queries >= 192 else 32  # queries at a time; at most 512 keys
    return torch.get_num_threads() * min(block, queries) * (min(512, keys) + 2 + width)


def _everywhere(tensor: Tensor, *_: Any, **__: Any) -> Tensor:
    """Choose all entries of a mask: every token may be sent to one expert."""
    return torch.empty((tensor.numel(), tensor.ndim), dtype=torch.long)
