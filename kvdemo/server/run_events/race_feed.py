"""Send the events of a race, and rest between two steps while a page on the same machine draws them.

Where decoding takes all cores of a machine, a browser on it takes them from a step. On two cores a step beside one took
1.24 times as long as alone without rests, and 1.05 to 1.1 times with them (`python -m benchmarks engine_process`). No
rest is timed. The step after one takes a few per cent longer, and of two lanes the quicker one takes more of these.
A rest has a fixed length: no slow reader holds the race up. The race's document tells of its rests.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from kvdemo.core.events import Diverged, Ended, Finished, RaceEvent, Started, TokensCommitted
from kvdemo.core.types import Schedule
from kvdemo.engine.timer import Clock
from kvdemo.server.run_events.batches import INTERVAL_SECONDS, EventChannel

if TYPE_CHECKING:
    import torch

#: Between two rests: more of them disturb more, since a step after a rest takes longer than one after a step.
EVERY_SECONDS = 0.15
#: How long it takes a browser to draw what came, and to lay the stage of a race. In a page that was just opened, first
#: steps took 1.8 times as long where the race did not rest before them.
DRAWING_SECONDS, LAYING_SECONDS = 0.045, 0.3
#: How long what was sent without a rest may wait for the next one.
HELD_SECONDS = 0.4


def is_disturbed(schedule: Schedule, device: torch.device) -> bool:
    """Tell whether a browser on this machine takes cores from the steps of a race. Where lanes run at once, they do."""
    return schedule == "fair" and device.type == "cpu" and takes_all_cores()


def takes_all_cores() -> bool:
    """Tell whether torch's kernels run on all cores that this process may use."""
    import torch  # noqa: PLC0415 - torch is imported with a model

    may_use = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return torch.get_num_threads() >= may_use


class RaceFeed:
    """Receives the events of a race. `rests`: it rests for the page, until `leave` is called."""

    def __init__(self, tell: EventChannel[RaceEvent], *, rests: bool, clock: Clock = time.monotonic) -> None:
        self._tell, self._rests, self._clock = tell, rests, clock
        self._rested_at = float("-inf")
        self._rested: list[float] = []
        if rests:
            tell.interval = HELD_SECONDS

    def __call__(self, event: RaceEvent) -> None:
        """Send an event; return when the page has had time to draw it, if it is time for a rest."""
        if isinstance(event, Finished) and self._rested:
            rests = {"count": len(self._rested), "seconds": sum(self._rested)}
            event = replace(event, document={**event.document, "rests": rests})
        if not self._rests:
            self._tell(event)
            return
        match event:
            case Started():
                self._rest(event, LAYING_SECONDS)
            case TokensCommitted() | Diverged() | Ended():
                if self._clock() - self._rested_at < EVERY_SECONDS:
                    self._tell(event)
                else:
                    self._rest(event, DRAWING_SECONDS)
            case _:
                self._tell.send_and_rest(event, 0)

    def leave(self) -> None:
        """Rest no more: steps of another machine are timed by when they arrive, and are read at once."""
        self._rests, self._tell.interval = False, INTERVAL_SECONDS
        self._tell.flush()

    def _rest(self, event: RaceEvent, seconds: float) -> None:
        self._tell.send_and_rest(event, seconds)
        self._rested_at = self._clock()
        self._rested.append(seconds)
