"""Measure what kvdemo adds to a step: the steps of a measurement and of a race against loops written by hand.

The limit is 1: a strategy runs the same forward passes as the loop. What is above it is kvdemo's own work within the
timed step, and what its work between the steps leaves behind. All loops take their steps in lockstep, so each step
follows one of another loop, as in a fair race. The bare loop runs twice: the ratio of the two must be 1, or the
machine is too busy to say anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch
from transformers import DynamicCache, MinPLogitsWarper, TemperatureLogitsWarper, TopPLogitsWarper

from benchmarks.figure import Figure
from benchmarks.tools import lockstep
from benchmarks.tools.turns import Turns, steps_of
from kvdemo.core.events import RaceEvent, Started, TokensCommitted
from kvdemo.core.settings.race import RaceRequest
from kvdemo.engine.start_lane import start_lane
from kvdemo.measure.single_run import take
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.cache_argument import cache_kwargs
from kvdemo.race import session
from kvdemo.race.check import check_race
from kvdemo.server.run_events.batches import EventChannel, batches

PROMPT = "What is KV caching?"
SAMPLED = "dynamic_cache:temperature=0.8:top_p=0.95:min_p=0.05"
#: Many rounds where 0.5 % must be resolved.
CACHED_ROUNDS, CACHED_POSITIONS = 32, 32
UNCACHED_ROUNDS, UNCACHED_POSITIONS = 12, 16


@torch.inference_mode()
def bare_dynamic_cache(model: LoadedModel, turns: Turns) -> None:
    """Run the smallest loop with a cache that can be written: a pass over the new token, argmax."""
    ids = model.tokenizer(PROMPT, return_tensors="pt").input_ids
    cache = DynamicCache(config=model.network.config)
    while not turns.is_set():
        start = time.perf_counter()
        logits = model.network(input_ids=ids, logits_to_keep=1, **cache_kwargs(model.network, cache)).logits
        ids = torch.tensor([[logits[0, -1].argmax().item()]])
        turns.seconds = time.perf_counter() - start


@torch.inference_mode()
def bare_sampling(model: LoadedModel, turns: Turns) -> None:
    """Run the smallest loop that draws: the rules of transformers in the order of `generate()`, then multinomial."""
    ids = model.tokenizer(PROMPT, return_tensors="pt").input_ids
    cache = DynamicCache(config=model.network.config)
    rules = (TemperatureLogitsWarper(0.8), TopPLogitsWarper(0.95), MinPLogitsWarper(0.05))
    while not turns.is_set():
        start = time.perf_counter()
        scores = model.network(input_ids=ids, logits_to_keep=1, **cache_kwargs(model.network, cache)).logits[:, -1]
        for rule in rules:
            scores = rule(ids, scores)
        ids = torch.tensor([[torch.multinomial(scores.softmax(-1), 1).item()]])
        turns.seconds = time.perf_counter() - start


@torch.inference_mode()
def bare_no_cache(model: LoadedModel, turns: Turns) -> None:
    """Run the smallest loop without a cache: a pass over all ids, argmax."""
    ids = model.tokenizer(PROMPT).input_ids
    while not turns.is_set():
        start = time.perf_counter()
        logits = model.network(input_ids=torch.tensor([ids]), logits_to_keep=1, use_cache=False).logits
        ids.append(int(logits[0, -1].argmax()))
        turns.seconds = time.perf_counter() - start


@torch.inference_mode()
def bare_reencode(model: LoadedModel, turns: Turns) -> None:
    """Run the smallest loop over text: tokenise all of it, a pass over all ids, argmax, append the token's text."""
    text = PROMPT
    while not turns.is_set():
        start = time.perf_counter()
        ids = model.tokenizer(text, return_tensors="pt").input_ids
        logits = model.network(input_ids=ids, logits_to_keep=1, use_cache=False).logits
        text += model.tokenizer.decode([int(logits[0, -1].argmax())])
        turns.seconds = time.perf_counter() - start


def run(model: LoadedModel) -> Iterator[Figure]:
    """Run the loops with a cache in lockstep, those that draw, then those without a cache."""
    cached = lockstep.take(
        {
            "bare": bare(bare_dynamic_cache, model),
            "bare again": bare(bare_dynamic_cache, model),
            "measure": measure("dynamic_cache", model, CACHED_POSITIONS),
            "race": race("dynamic_cache", model, CACHED_POSITIONS),
        },
        rounds=CACHED_ROUNDS,
        positions=CACHED_POSITIONS,
    )
    yield compared("(control) the same bare loop twice, dynamic_cache", cached["bare again"], cached["bare"])
    yield compared("dynamic_cache: a step in a measurement / bare loop", cached["measure"], cached["bare"], 1.005)
    yield compared("dynamic_cache: a step in a race / bare loop", cached["race"], cached["bare"], 1.01)

    drawn = lockstep.take(
        {"bare": bare(bare_sampling, model), "race": race(SAMPLED, model, CACHED_POSITIONS)},
        rounds=CACHED_ROUNDS,
        positions=CACHED_POSITIONS,
    )
    yield compared(f"{SAMPLED}: a step in a race / bare loop with the same rules", drawn["race"], drawn["bare"], 1.05)

    uncached = lockstep.take(
        {
            "bare no_cache": bare(bare_no_cache, model),
            "no_cache": race("no_cache", model, UNCACHED_POSITIONS),
            "bare reencode": bare(bare_reencode, model),
            "reencode": race("reencode", model, UNCACHED_POSITIONS),
        },
        rounds=UNCACHED_ROUNDS,
        positions=UNCACHED_POSITIONS,
    )
    for name in ("no_cache", "reencode"):
        yield compared(f"{name}: a step in a race / bare loop", uncached[name], uncached[f"bare {name}"], 1.02)


def compared(
    name: str, samples: lockstep.Samples, bare_samples: lockstep.Samples, target: float | None = None
) -> Figure:
    """Return the ratio of two loops as a figure."""
    found = lockstep.ratio(samples, bare_samples)
    return Figure(name, found.value, "×", target, interval=found.interval)


def bare(loop: Callable[[LoadedModel, Turns], None], model: LoadedModel) -> lockstep.Loop:
    """Make a loop written by hand; it has no warm-up."""

    def from_its_first_step(turns: Turns) -> None:
        turns.begin()
        loop(model, turns)

    return lambda: steps_of(from_its_first_step)


def request(strategy: str, positions: int) -> RaceRequest:
    """Ask for more tokens than are taken, so that no run ends by itself."""
    return RaceRequest(PROMPT, strategies=(strategy,), max_new_tokens=positions + 2, chat=False, ignore_eos=True)


def measure(strategy: str, model: LoadedModel, positions: int) -> lockstep.Loop:
    """Run once as a measurement does; the seconds are those of its report."""

    def trial(turns: Turns) -> None:
        asked = request(strategy, positions)
        (chosen,), prompt = check_race(asked, model)
        lane = start_lane(chosen, asked, model, prompt, asked.max_new_tokens)
        before = 0.0

        def tick() -> None:
            nonlocal before
            turns.seconds, before = lane.seconds - before, lane.seconds

        turns.begin()
        take(lane, model, turns, tick)

    return lambda: steps_of(trial)


def race(strategy: str, model: LoadedModel, positions: int) -> lockstep.Loop:
    """Run a whole race as the page does: texts, records and events, which another thread reads ten times a second.

    What tokens were chosen from is recorded and written, too.
    """

    def raced(turns: Turns) -> None:
        def work(tell: EventChannel[RaceEvent]) -> None:
            def emit(event: RaceEvent) -> None:
                if isinstance(event, Started):
                    turns.begin()
                if isinstance(event, TokensCommitted):
                    turns.seconds = event.timed.seconds
                tell(event)

            session.run(request(strategy, positions), model, emit, turns, with_candidates=True)

        for _ in batches(work, turns):
            pass

    return lambda: steps_of(raced)
