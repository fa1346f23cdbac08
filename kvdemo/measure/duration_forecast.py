"""Predict how long a measurement takes, before it starts, from what earlier steps on the same model showed.

A step costs a · passes + b · positions seconds: a for reading the weights and launching the operations of a forward
pass, b for the arithmetic of each position. b is a property of the model on this device, so all eager lanes share it. a
is each lane's own: a compiled pass launches next to nothing, a packed cache has to be unpacked. Both follow by least
squares from the steps of any document. Lanes of one row and one pass a step are taken first, because the positions of
several rows, or of a draft, cost less than those of a prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

from kvdemo import strategies
from kvdemo.core.errors import BadInput
from kvdemo.core.figures import units
from kvdemo.core.settings import strategy_spec
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import RaceRequest
from kvdemo.costs.formulas import positions_cached, positions_uncached


class Kind(NamedTuple):
    """What a strategy says of its steps: see `strategies.base.Strategy`."""

    spec: str
    recomputes: bool = False
    searches: bool = False
    rows: int = 1
    prefills_once: bool = False
    eager: bool = True


class Step(NamedTuple):
    """One step of a lane: forward passes, positions of all rows, those of the first pass, tokens committed, seconds."""

    passes: int
    positions: int
    began: int
    tokens: int
    seconds: float


@dataclass(frozen=True)
class Lane:
    """What the steps of one lane showed, in seconds.

    prompt  positions that its first pass ran
    first   its first step
    each    a token after that
    fixed   a forward pass, whatever it runs
    """

    prompt: int
    first: float
    each: float
    fixed: float


@dataclass(frozen=True)
class StepTimeModel:
    """Seconds of a forward pass: `fixed`, and `each` for every position; and what single lanes showed, by their spec.

    The first two are those of a lane that has not been seen; None where no eager lane has.
    """

    fixed: float | None
    each: float | None
    lanes: Mapping[str, Lane] = field(default_factory=dict)

    @classmethod
    def fit(cls, document: Mapping[str, Any]) -> StepTimeModel | None:
        """Read the costs that a race's or a measurement's document shows; None where it shows nothing."""
        seen = [(kind, steps) for lane in document["lanes"] if (steps := _steps(lane, kind := _kind(lane)))]
        if not seen:
            return None
        eager = [steps for kind, steps in seen if kind.eager]
        plain = [steps for steps in eager if all(step.passes == 1 for step in steps)]
        single = [steps for kind, steps in seen if kind.eager and kind.rows == 1 and steps in plain]
        pool = single or plain or eager
        each = _slope(pool) if pool else None
        fixed = median(_fixed(steps, each or 0.0) for steps in pool) if pool else None
        return cls(fixed, each, {kind.spec: _lane(kind, steps, each or 0.0) for kind, steps in seen})

    def after(self, earlier: StepTimeModel | None) -> StepTimeModel:
        """Complete these costs by earlier ones of the same model on the same device."""
        if earlier is None:
            return self
        lanes = {**earlier.lanes, **self.lanes}
        if self.fixed is None:
            return replace(earlier, lanes=lanes)
        return replace(self, lanes=lanes)

    def seconds(self, strategy: str, prompt: int, tokens: int) -> float | None:
        """Predict the seconds of one run of a lane; None where nothing like it has been seen."""
        kind = _kind_of(strategy)
        seen, each = self.lanes.get(kind.spec), self.each or 0.0
        fixed = seen.fixed if seen else self.fixed
        if fixed is None:
            return None
        if kind.recomputes:
            return fixed * tokens + each * positions_uncached(prompt, tokens)
        if seen is None:
            shared = (kind.rows - 1) * (tokens - 1 if kind.prefills_once else positions_cached(prompt, tokens))
            return fixed * tokens + each * (positions_cached(prompt, tokens) + shared)
        rows = 1 if kind.prefills_once else kind.rows
        first = max(min(seen.first, seen.each), seen.first + each * (rows * prompt - seen.prompt))
        return first + seen.each * (tokens - 1)


def _kind(lane: Mapping[str, Any]) -> Kind:
    """Name the kind of a document's lane, by its options where it states them, else by its spec."""
    if not (options := lane.get("options")):
        return _kind_of(lane["strategy"])
    strategy_id = lane["strategy"].partition(":")[0]
    return _kind_of(":".join([strategy_id, *(f"{name}={value}" for name, value in options.items())]))


def _kind_of(spec: str) -> Kind:
    try:
        known, values, _ = strategies.read(spec)
    except BadInput:
        return Kind(spec)  # a strategy of another version
    return Kind(
        spec=strategy_spec.write(known.id, known.options, values),
        recomputes=known.recomputes,
        searches=known.searches,
        rows=int(values[known.rows_from]) if known.rows_from else 1,
        prefills_once=known.prefills_once,
        eager=known.eager,
    )


def _steps(lane: Mapping[str, Any], kind: Kind) -> list[Step]:
    """List a lane's steps; [] for one that tells nothing: a single pass, or what another machine ran."""
    if "latency" in lane:
        steps = _measured(lane, kind)
    else:
        steps = [
            _step(s.get("passes") or (), s["positions"], s.get("tokens", 1), s["seconds"])
            for s in lane["steps"]
            if s["positions"]
        ]
    return steps if sum(step.passes for step in steps) > 1 else []


def _measured(lane: Mapping[str, Any], kind: Kind) -> list[Step]:
    """Read a measured lane's steps: the context of each, its passes where they are not one; a cache tells the rest."""
    latency = lane["latency"]
    contexts = [context for context, _ in latency]
    tokens = [after - before for before, after in pairwise(contexts)]
    passes = lane.get("passes") or [()] * len(latency)
    return [
        _step(ran, context if kind.recomputes or n == 0 else 1, committed, seconds)
        for n, ((context, seconds), ran, committed) in enumerate(zip(latency, passes, [*tokens, 1], strict=False))
    ]


def _step(passes: Sequence[Mapping[str, Any]], positions: int, tokens: int, seconds: float) -> Step:
    """Make a step of these passes, as a document has them; without any it is one pass over `positions`."""
    own = [ran["rows"] * ran["positions"] for ran in passes if not ran["draft"]] or [positions]
    return Step(len(passes) or 1, sum(own), own[0], tokens, seconds)


def _slope(lanes: Sequence[Sequence[Step]]) -> float:
    """Fit the seconds of a position by least squares, over lanes that each have a cost of a pass; not below 0."""
    over = under = 0.0
    for steps in lanes:
        squares = sum(step.passes**2 for step in steps)
        mean_x = sum(step.passes * step.positions for step in steps) / squares
        mean_y = sum(step.passes * step.seconds for step in steps) / squares
        apart = [(step.positions - step.passes * mean_x, step.seconds - step.passes * mean_y) for step in steps]
        over += sum(x * y for x, y in apart)
        under += sum(x * x for x, _ in apart)
    return max(0.0, over / under) if under else 0.0


def _fixed(steps: Sequence[Step], each: float) -> float:
    """Fit the seconds of a pass of a lane, whatever it runs, where a position takes `each`; not below 0."""
    rest = sum(step.passes * (step.seconds - each * step.positions) for step in steps)
    return max(0.0, rest / sum(step.passes**2 for step in steps))


def _lane(kind: Kind, steps: Sequence[Step], each: float) -> Lane:
    first, *later = steps
    tokens = sum(step.tokens for step in later)
    if kind.searches or not tokens:  # tokens come when they are certain: only the whole tells what one takes
        token = sum(step.seconds for step in steps) / sum(step.tokens for step in steps)
        return Lane(first.began, token, token, _fixed(steps, each))
    token = sum(step.seconds for step in later) / tokens
    return Lane(first.began, first.seconds, token, _fixed(steps, each))


def sentence(request: MeasureRequest, prompt_tokens: int | None, costs: StepTimeModel | None) -> str:
    """Say what is to be done, and how long that may take where it can be told."""
    lanes = units.count(len(request.race.strategies), "lane")
    runs = f"{units.count(request.repeats, 'repeat')} and {units.count(request.warmup, 'warm-up')}"
    sweep = ", then the sweep" if request.sweep_prompt else ""
    work = (
        f"{lanes}, {runs} of {units.count(request.race.max_new_tokens, 'token')} each{sweep}: {request.steps:,} in all."
    )
    seconds = None if costs is None or prompt_tokens is None else total(request, prompt_tokens, costs)
    if seconds is None:
        return f"{work} How long that takes is known a few seconds after the start."
    return f"{work} Predicted from the steps run so far: {_about(seconds)}."


def total(request: RaceRequest | MeasureRequest, prompt_tokens: int, costs: StepTimeModel) -> float | None:
    """Predict the seconds of all lanes of a race, or of all runs; None where those of a lane cannot be predicted."""
    race = request.race if isinstance(request, MeasureRequest) else request
    runs = [(1, prompt_tokens, race.max_new_tokens)]
    if isinstance(request, MeasureRequest):
        runs = [(request.repeats + request.warmup, prompt_tokens, race.max_new_tokens)]
        runs += [(1 + request.sweep_repeats, prompt, max(request.sweep_tokens)) for prompt in request.sweep_prompt]
    found = 0.0
    for strategy in race.strategies:
        for times, prompt, tokens in runs:
            seconds = costs.seconds(strategy, prompt, tokens)
            if seconds is None:
                return None
            found += times * seconds
    return found


def _about(seconds: float) -> str:
    if seconds < 90:
        return f"about {units.count(max(1, round(seconds)), 'second')}"
    if seconds < 5400:
        return f"about {round(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"
