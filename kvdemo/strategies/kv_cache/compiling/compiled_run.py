"""Bind a decoding step to one cache, and on CUDA record it as a graph that the host launches as one operation."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import StaticCache
from transformers.cache_utils import StaticLayer

from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import fitting_cache
from kvdemo.models.network.forward import next_token_logits

# Room is reserved in multiples of this: few sizes, which runs of like length share, and little that is never used.
_MULTIPLE = 64
# Compile, and run until nothing is new any more.
RUNS_BEFORE_RECORDING = 3
Step = Callable[[Tensor, StaticCache], Tensor]


def size_for(positions: int) -> int:
    """Round positions up to a multiple of 64: the size of the cache."""
    return -(-positions // _MULTIPLE) * _MULTIPLE


class _Layer(StaticLayer):
    """A layer of a static cache that compiled code can be used with again: it knows neither its size nor its address.

    transformers marks the tensors as having a fixed address, which freezing would take for constants, and states the
    size as a number, which would be compiled in.
    """

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.device = key_states.device
        self.keys = key_states.new_zeros((*key_states.shape[:2], self.max_cache_len, key_states.shape[-1]))
        self.values = value_states.new_zeros((*value_states.shape[:2], self.max_cache_len, value_states.shape[-1]))
        for tensor in (self.keys, self.values):
            torch._dynamo.mark_dynamic(tensor, 2)
        self.cumulative_length: Tensor = self.cumulative_length.to(self.device)
        self.is_initialized = True

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        if not self.is_initialized:
            return super().get_mask_sizes(query_length)
        return self.keys.shape[-2], 0


@dataclass(eq=False)
class Run:
    """The step bound to one cache of `size` positions.

    token    shape (1, 1): read by the step, which leaves the likeliest next token there
    logits   shape (vocab,): what the last step left; overwritten by the next one
    bytes    of device memory that the run holds beside the model: cache, and on CUDA the graph's own memory
    """

    size: int
    cache: StaticCache
    token: Tensor
    step: Step
    graph: torch.cuda.CUDAGraph | None = None
    logits: Tensor | None = None
    bytes: int = 0
    _user: weakref.ref[Any] | None = None

    def __call__(self) -> Tensor:
        """Run `token` through the model; return the logits after it. The likeliest next token is then in `token`."""
        if self.graph is None:
            self.logits = self.step(self.token, self.cache)
        else:
            self.graph.replay()
        assert self.logits is not None  # noqa: S101 - recorded with the graph
        return self.logits

    @property
    def idle(self) -> bool:
        """Whether no lane works with it."""
        return self._user is None or self._user() is None

    def lend(self, user: object) -> None:
        """Give it to a user, empty, for as long as that object lives."""
        self._user = weakref.ref(user)
        self.cache.reset()


def bind(step: Step, model: LoadedModel, size: int) -> Run:
    """Bind the step to a new cache, its tensors reserved by running one token uncompiled."""
    cache = fitting_cache.static_cache(model.network, size)
    cache.layers = [_Layer(size) for _ in cache.layers]
    token = torch.zeros((1, 1), dtype=torch.long, device=model.device)
    next_token_logits(model, token[0], cache)
    return Run(size, cache, token, step)


def record_graph(run: Run) -> None:
    """Record the step as a CUDA graph, and launch it once: its first launch takes longer."""
    stream = torch.cuda.Stream(run.token.device)
    stream.wait_stream(torch.cuda.current_stream(run.token.device))
    with torch.cuda.stream(stream):
        for _ in range(RUNS_BEFORE_RECORDING):
            run()
    torch.cuda.current_stream(run.token.device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    # Other threads may use the device at the same time: only this one is recorded.
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        run()
    run.graph = graph
    run()
    torch.cuda.synchronize(run.token.device)
