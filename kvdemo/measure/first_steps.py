"""Take a lane's first steps, to know how long its runs will take and how many operations a pass launches."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from kvdemo.core.cancellation import CancelToken
from kvdemo.core.events import Ended
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.types import Pass, TimedStep
from kvdemo.engine.lane import Lane
from kvdemo.engine.scheduler import race
from kvdemo.engine.start_lane import describe_failure, start_lane
from kvdemo.measure.roofline.bounds import RooflineModel
from kvdemo.measure.roofline.kernel_launches import Launches
from kvdemo.measure.single_run import no_garbage_collection
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.text.codec import Prompt
from kvdemo.strategies.base import Strategy

#: Tokens that are timed; one step more is counted.
TOKENS = 4
# Contexts at which the floor of a long run is worked out; it is a smooth function of the context.
_SAMPLES = 64


@dataclass(frozen=True)
class Probe:
    """A lane's first steps, timed, and the operations of one of its passes; None where they cannot be counted."""

    strategy: Strategy
    steps: list[TimedStep] = field(repr=False)
    operations: float | None = None

    def seconds(self, machine: RooflineModel, prompt: int, new_tokens: int) -> float:
        """Predict a run: as the steps of the probe, and no less than the device needs for longer contexts."""
        floor = _Floors(machine, self.strategy, self.steps[-1])
        first, *later = self.steps
        tokens = sum(len(timed.step.choices) for timed in later)
        # Without a later step, the first has all tokens, or there is one token.
        each = sum(timed.seconds for timed in later) / tokens if tokens else first.seconds / len(first.step.choices)
        prefill = max(first.seconds if tokens else each, floor.prefill(prompt))
        return prefill + _sum(lambda context: max(each, floor.token(context)), prompt + 1, prompt + new_tokens)


def take(
    strategy: Strategy,
    request: RaceRequest,
    model: LoadedModel,
    prompt: Prompt,
    stop: CancelToken,
    tell: Callable[[str], None] = lambda _: None,
) -> Probe | None:
    """Take a lane's first steps; None for one that fails at once, which it will do again and be reported then.

    `tell` is called with what the strategy prepares before its first step.
    """
    launches = Launches()

    def steps() -> Iterator[TimedStep]:
        tokens = request.max_new_tokens
        lane = start_lane(strategy, request, model, prompt, tokens, cut=TOKENS + 1, around=launches.over, tell=tell)
        return _steps(lane, stop)

    lane = steps()
    taken: list[TimedStep] = []
    with no_garbage_collection():
        while sum(len(one.step.choices) for one in taken) < TOKENS and (timed := next(lane, None)) is not None:
            taken.append(timed)
    if not taken:
        return None
    if strategy.eager:
        launches.on = True
        if next(lane, None) is None:  # that was all of it: another lane's step is counted
            lane = steps()
            launches.on = strategy.searches
            next(lane, None)  # a prefill, or a whole search
            launches.on = True
            next(lane, None)
    return Probe(strategy, taken, launches.per_pass)


def _steps(lane: Lane, stop: CancelToken) -> Iterator[TimedStep]:
    for event in race([lane], stop=stop, describe=describe_failure):
        if not isinstance(event, Ended):
            yield event[1]


class _Floors:
    """The least seconds of a strategy's passes, which are as those of a step that was seen."""

    def __init__(self, machine: RooflineModel, strategy: Strategy, seen: TimedStep) -> None:
        self._machine, self._strategy = machine, strategy
        self._rows = max((ran.rows for ran in seen.step.passes), default=1)
        self._whole = strategy.recomputes

    def prefill(self, prompt: int) -> float:
        """List the passes of the prompt, which some run in one row."""
        return self._least(Pass(1 if self._strategy.prefills_once else self._rows, prompt, prompt))

    def token(self, context: int) -> float:
        """List the passes of one more token in each row."""
        if self._whole:
            return self._least(Pass(self._rows, context, context))
        # A strategy may keep less than all keys and values, so only the weights are sure to be read.
        return self._least(Pass(self._rows, 1, context))

    def _least(self, ran: Pass) -> float:
        return self._machine.ran((ran,), 0).floor_s


def _sum(f: Callable[[int], float], start: int, stop: int) -> float:
    """Add up f over a range of contexts, worked out at some of them where they are many."""
    n = max(0, stop - start)
    parts = min(n, _SAMPLES)
    edges = [start + n * part // parts for part in range(parts + 1)] if parts else []
    return math.fsum((high - low) * f((low + high - 1) // 2) for low, high in itertools.pairwise(edges))
