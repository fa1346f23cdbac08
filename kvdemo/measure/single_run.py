"""Run one lane alone on the device.

The timed region is the step and nothing else (`kvdemo.engine.timer`). Python's garbage collector is off for the length
of the run: a collection inside a step would be counted as decoding.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from kvdemo.core.cancellation import CancelToken
from kvdemo.core.events import Ended, FinishReason
from kvdemo.core.figures.metrics import LaneMetrics, lane_metrics
from kvdemo.core.types import TimedStep
from kvdemo.engine.lane import Lane
from kvdemo.engine.scheduler import race
from kvdemo.engine.start_lane import describe_failure
from kvdemo.measure.peak_memory import peak
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.kv_cache.compiling import compiled_step


@dataclass(frozen=True)
class Trial:
    """The result of one run: its steps, how it ended, and the peak of device memory in bytes where it is measured."""

    steps: list[TimedStep] = field(repr=False)
    reason: FinishReason
    error: str | None = None
    peak_bytes: int | None = None

    @property
    def metrics(self) -> LaneMetrics:
        return lane_metrics(self.steps)

    @property
    def tokens(self) -> list[int]:
        return [token for timed in self.steps for token in timed.step.tokens]

    def text(self, model: LoadedModel) -> str:
        """Return what the run wrote: the text that the strategy worked on, or else that of the tokens."""
        own = [timed.step.texts for timed in self.steps]
        return model.text_of(self.tokens) if None in own else "".join(text for texts in own for text in texts or ())

    @property
    def seconds(self) -> float:
        return sum(timed.seconds for timed in self.steps)


def take(lane: Lane, model: LoadedModel, stop: CancelToken, tick: Callable[[], None] = lambda: None) -> Trial:
    """Run a lane to its end. `tick` is called between the steps, outside of what is timed."""
    steps: list[TimedStep] = []
    ended: Ended | None = None
    # What the last lane left is collected first. What is kept for later compiled lanes is not what this lane needs.
    with no_garbage_collection(), peak(model.device, lambda: compiled_step.idle_bytes(model)) as highest:
        for event in race([lane], stop=stop, describe=describe_failure):
            if isinstance(event, Ended):
                ended = event
            else:
                steps.append(event[1])
                tick()
    if ended is None:
        raise RuntimeError("a lane must report its end")
    return Trial(steps, ended.reason, ended.error, highest.bytes)


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Collect garbage now, and not again before the end of the body."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
