"""Time the compiled lane's step against a loop compiled by hand for one length, and against the eager lane.

The limit is 1: the loop by hand runs the same model, compiled with packed weights and with the choice of the token
inside, on a cache of exactly the length that it needs. The lane is compiled once for all lengths and reserves room in
multiples of 64; what that costs, and what kvdemo does around a step, is the distance. All take their steps in lockstep.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from typing import Any

import torch
from torch import Tensor
from transformers import StaticCache
from transformers.cache_utils import StaticLayer

from benchmarks.figure import Figure
from benchmarks.tools import lockstep
from kvdemo import strategies
from kvdemo.engine.timer import Stopwatch, time_steps
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.cache_argument import cache_kwargs
from kvdemo.samplers import Rule
from kvdemo.strategies.base import Job
from kvdemo.strategies.chooser import Chooser, record

PROMPT = "What is KV caching?"
ROUNDS, POSITIONS = 12, 24


class _Layer(StaticLayer):
    """A static layer whose tensors are arguments of the compiled code; marked as transformers does, they are packed."""

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.device = key_states.device
        self.keys = key_states.new_zeros((*key_states.shape[:2], self.max_cache_len, key_states.shape[-1]))
        self.values = torch.zeros_like(self.keys, dtype=value_states.dtype)
        self.is_initialized = True


def run(model: LoadedModel) -> Iterator[Figure]:
    """Compare the lane with the loop by hand, which may be 1.05 at the most, and with the eager lane."""
    seconds = lockstep.take(
        {"lane": _lane(model, "compiled_cache"), "hand": _by_hand(model), "eager": _lane(model, "dynamic_cache")},
        rounds=ROUNDS,
        positions=POSITIONS,
        skip=3,
    )
    for other, name, target in (("hand", "loop compiled by hand", 1.05), ("eager", "dynamic_cache", None)):
        found = lockstep.ratio(seconds["lane"], seconds[other])
        yield Figure(f"compiled_cache: a step / {name}", found.value, "×", target, interval=found.interval)


def _lane(model: LoadedModel, strategy: str) -> lockstep.Loop:
    """Run a strategy's steps as a race times them."""

    def start() -> Generator[float, None, None]:
        prompt = model.prompt(PROMPT, chat=False)
        job = Job(
            model,
            prompt,
            lambda appended: model.encode(prompt, appended),
            Chooser(Rule(), model.device),
            POSITIONS + 8,
        )
        for taken in time_steps(strategies.get(strategy).decode(job), model.synchronize, Stopwatch(), record=record):
            yield taken.seconds

    return start


def _by_hand(model: LoadedModel) -> lockstep.Loop:
    """Run the prompt, then a step compiled for this model and length, by the first round that asks for it."""
    network, ids = model.network, model.tokenizer(PROMPT, return_tensors="pt").input_ids
    (name,) = cache_kwargs(network, None).keys() - {"use_cache"}
    options: dict[str, Any] = {"freezing": True}

    def step(token: Tensor, cache: StaticCache) -> Tensor:
        logits = network(input_ids=token, logits_to_keep=1, use_cache=True, **{name: cache}).logits
        return logits[:, -1:].argmax(-1)

    compiled = torch.compile(step, options=options, fullgraph=True, dynamic=False)

    @torch.inference_mode()
    def start() -> Generator[float, None, None]:
        size = ids.shape[1] + POSITIONS + 8
        cache = StaticCache(config=network.config, max_cache_len=size)
        cache.layers = [_Layer(size) for _ in cache.layers]
        begun = time.perf_counter()
        token = step(ids, cache)
        token.item()
        while True:
            yield time.perf_counter() - begun
            begun = time.perf_counter()
            with torch._inductor.config.patch(freezing=True):
                token = compiled(token, cache)
            token.item()

    return start
