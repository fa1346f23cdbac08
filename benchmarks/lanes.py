"""Does a lane's step cost the same in a fair race as when the lane runs alone?

The limit is 1: taking turns leaves each step the whole device. What could push it above is what the other lane
leaves behind (evicted processor caches, fragmented memory) and what is done between the steps.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from statistics import mean, median

from benchmarks.figure import Figure
from kvdemo import session
from kvdemo.models.loaded import LoadedModel
from kvdemo.request import RaceRequest

PROMPT = "What is KV caching?"
TOKENS, ROUNDS = 24, 9
LANES = ("reencode", "dynamic_cache")


def step_seconds(model: LoadedModel, *lanes: str) -> dict[str, list[float]]:
    """Each lane's step times from one race of these lanes."""
    asked = RaceRequest(PROMPT, strategies=lanes, max_new_tokens=TOKENS, chat=False, ignore_eos=True)
    document = session.run(asked, model, lambda _: None, threading.Event()).document
    return {lane["strategy"]: [step["seconds"] for step in lane["steps"]] for lane in document["lanes"]}


def run(model: LoadedModel) -> Iterator[Figure]:
    """In each round a race between two solo runs of each lane, so that a drifting machine drifts through both.

    The figure is the median over the rounds of (median raced step / mean of the two median solo steps).
    """
    ratios: dict[str, list[float]] = {lane: [] for lane in LANES}
    for _ in range(ROUNDS):
        before = {lane: median(step_seconds(model, lane)[lane]) for lane in LANES}
        raced = {lane: median(seconds) for lane, seconds in step_seconds(model, *LANES).items()}
        after = {lane: median(step_seconds(model, lane)[lane]) for lane in LANES}
        for lane in LANES:
            ratios[lane].append(raced[lane] / mean([before[lane], after[lane]]))
    for lane in LANES:
        yield Figure(f"{lane}: median step in a fair race / alone", median(ratios[lane]), "×", 1.05)
