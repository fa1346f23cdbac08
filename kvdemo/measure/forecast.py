"""How long a measurement will take, said before it starts, from what earlier steps on the same model showed.

A step costs a + b · positions seconds: a for reading the weights and launching the operations, b for the arithmetic
of each position. Both follow by least squares from the steps of any document, for it holds steps of both kinds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kvdemo import words
from kvdemo.measure.request import MeasureRequest

#: The lanes that run the whole context in each step. All others are taken for cached ones.
WHOLE = {"reencode", "no_cache"}


@dataclass(frozen=True)
class Costs:
    """Seconds of a step: `fixed`, and `each` for every position."""

    fixed: float
    each: float

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Costs | None:
        """The costs that a race's or a measurement's document shows; None where it shows nothing."""
        lanes = [steps for lane in document["lanes"] if len(steps := _steps(lane)) > 1]
        return cls(*_line([step for steps in lanes for step in steps])) if any(lanes) else None

    def seconds(self, strategy: str, prompt: int, tokens: int) -> float:
        """One run of a lane. Positions: n·P + n(n-1)/2 without a cache, P + n - 1 with one."""
        cached = prompt + tokens - 1
        positions = tokens * prompt + tokens * (tokens - 1) // 2 if strategy in WHOLE else cached
        return self.fixed * tokens + self.each * positions


def _steps(lane: Mapping[str, Any]) -> list[tuple[int, float]]:
    """The (positions, seconds) of a lane's steps. What another machine ran says nothing about this one: left out."""
    if "latency" not in lane:
        return [(s["positions"], s["seconds"]) for s in lane["steps"] if s["positions"] is not None]
    whole = lane["strategy"] in WHOLE  # a measurement tells the context of each step, a cache the rest
    return [(context if whole or n == 0 else 1, seconds) for n, (context, seconds) in enumerate(lane["latency"])]


def _line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The line of least squares through (x, y), neither part below zero."""
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = max(0.0, sum((x - mean_x) * (y - mean_y) for x, y in points) / spread) if spread else 0.0
    return max(0.0, mean_y - slope * mean_x), slope


def sentence(request: MeasureRequest, prompt_tokens: int | None, costs: Costs | None) -> str:
    """What is to be done, and how long that may take where it can be told."""
    lanes = words.count(len(request.race.strategies), "lane")
    runs = f"{words.count(request.repeats, 'repeat')} and {words.count(request.warmup, 'warm-up')}"
    sweep = ", then the sweep" if request.sweep_prompt else ""
    work = (
        f"{lanes}, {runs} of {words.count(request.race.max_new_tokens, 'token')} each{sweep}: {request.steps:,} in all."
    )
    if costs is None or prompt_tokens is None:
        return f"{work} How long that takes is known a few seconds after the start."
    return f"{work} Predicted from the steps run so far: {_about(_total(request, prompt_tokens, costs))}."


def _total(request: MeasureRequest, prompt_tokens: int, costs: Costs) -> float:
    seconds = 0.0
    for strategy in request.race.strategies:
        seconds += (request.repeats + request.warmup) * costs.seconds(
            strategy, prompt_tokens, request.race.max_new_tokens
        )
        for prompt in request.sweep_prompt:
            seconds += (1 + request.sweep_repeats) * costs.seconds(strategy, prompt, max(request.sweep_tokens))
    return seconds


def _about(seconds: float) -> str:
    if seconds < 90:
        return f"about {words.count(max(1, round(seconds)), 'second')}"
    if seconds < 5400:
        return f"about {round(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"
