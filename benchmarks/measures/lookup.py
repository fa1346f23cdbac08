"""Measure whether prompt lookup pays, end to end, where the answer repeats the prompt.

The prompt asks for a piece of code again with one change. (SmolLM2-135M repeats it and forgets the change.)
`prompt_lookup` and `dynamic_cache` write the same answer to its end of text, alone and in turn, and all of it counts:
tokenisation, prefill, every wrong guess. How much there is to win depends on how much dearer a pass over a guess is
than one over a single token, so that is shown too.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from statistics import median
from typing import Any

from benchmarks.figure import Figure
from benchmarks.tools import lockstep
from kvdemo.core.settings.race import RaceRequest
from kvdemo.models.loaded import LoadedModel
from kvdemo.race import session

PROMPT = """\
Rename Rectangle to Box in this code and write all of it again:

```python
class Rectangle:
    def __init__(self, width, height):
        self.width = width
        self.height = height

    def area(self):
        return self.width * self.height

    def perimeter(self):
        return 2 * (self.width + self.height)

    def scale(self, factor):
        return Rectangle(self.width * factor, self.height * factor)

    def contains(self, other):
        return self.width >= other.width and self.height >= other.height

    def __repr__(self):
        return f"Rectangle({self.width}, {self.height})"
```
"""
TOKENS, ROUNDS = 200, 8


def lane(model: LoadedModel, strategy: str) -> dict[str, Any]:
    """Return the lane's part of the document of a race that it runs alone."""
    asked = RaceRequest(PROMPT, strategies=(strategy,), max_new_tokens=TOKENS, chat=True)
    document = session.run(asked, model, lambda _: None, threading.Event()).document
    found: dict[str, Any] = document["lanes"][0]
    return found


def run(model: LoadedModel) -> Iterator[Figure]:
    """Run each once in turn, in random order."""
    ran: dict[str, list[dict[str, Any]]] = {"dynamic_cache": [], "prompt_lookup": []}

    def run_of(strategy: str) -> lockstep.Loop:
        def once() -> float:
            ran[strategy].append(lane(model, strategy))
            return float(ran[strategy][-1]["metrics"]["e2e_s"])

        return lockstep.repeated(once)

    taken = lockstep.take({strategy: run_of(strategy) for strategy in ran}, rounds=ROUNDS, positions=1, skip=0)
    if len({tuple(run["tokens"]) for runs in ran.values() for run in runs}) > 1:
        raise AssertionError("the two lanes wrote different answers")
    guessing = [run["steps"] for run in ran["prompt_lookup"]]
    dearer = [
        median(step["seconds"] for step in steps if step["details"]["drafted"])
        / median(step["seconds"] for step in plain["steps"][1:])
        for steps, plain in zip(guessing, ran["dynamic_cache"], strict=True)
    ]
    steps = guessing[0][1:]
    yield Figure("prompt_lookup: tokens a step", sum(step["tokens"] for step in steps) / len(steps), "tokens")
    yield Figure("prompt_lookup: a pass over a guess / a step of dynamic_cache", median(dearer), "×")
    gain = lockstep.ratio(taken["dynamic_cache"], taken["prompt_lookup"])
    yield Figure(
        "dynamic_cache / prompt_lookup, end to end, code with one change",
        gain.value, "×", 1.0, at_most=False, interval=gain.interval,
    )  # fmt: skip
