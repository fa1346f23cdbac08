"""Time each step of a strategy: the one place where a clock is read.

The device is synchronised before each reading, because work that was handed to a GPU is not yet done. The timed region
holds the generator's next step and nothing else: no text is drawn and no event is sent in it. What a step chose is
recorded (its log-probabilities, the runners-up) after the clock has been read, and before the next step, which may
overwrite the logits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

from kvdemo.core.types import Step, TimedStep

Clock = Callable[[], float]
P = ParamSpec("P")
T = TypeVar("T")


class Stopwatch:
    """Adds up the seconds spent inside the functions that it wraps, until they are taken."""

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self._clock = clock
        self._seconds = 0.0

    def wrap(self, function: Callable[P, T]) -> Callable[P, T]:
        """Wrap a function so that its time is counted here."""

        def timed_call(*args: P.args, **kwargs: P.kwargs) -> T:
            start = self._clock()
            try:
                return function(*args, **kwargs)
            finally:
                self._seconds += self._clock() - start

        return timed_call

    def take(self) -> float:
        """Return the seconds counted since the last call."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds


def time_steps(
    steps: Iterator[Step],
    synchronize: Callable[[], None],
    tokenizing: Stopwatch,
    clock: Clock = time.perf_counter,
    record: Callable[[Step], Step] = lambda step: step,
) -> Iterator[TimedStep]:
    """Yield each step with its seconds, from a synchronised device to a synchronised device.

    `record` completes a step after the clock has been read. What it raises ends the lane as if the step had raised it.
    """
    while True:
        synchronize()
        start = clock()
        step = next(steps, None)
        if step is None:
            return
        synchronize()
        seconds = clock() - start
        step = record(step)  # lets go of the logits: they are not kept while the next step runs
        yield TimedStep(step, seconds, tokenizing.take())
