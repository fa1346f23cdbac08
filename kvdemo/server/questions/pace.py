"""Spread the work that questions make in the engine's process, so that it disturbs no run's steps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kvdemo.engine.timer import Clock

#: Beside a run, a piece of work is followed by a rest that is so many times as long.
REST = 19
#: How often who waits looks whether the runs are over.
LOOK_SECONDS = 0.25


class Pace:
    """Let one piece of work begin at a time, and while there are runs (`busy`), each after a rest from the last."""

    def __init__(
        self, busy: Callable[[], bool], clock: Clock = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._busy, self._clock, self._sleep = busy, clock, sleep
        self._one = threading.Lock()
        self._rested_at = float("-inf")

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait until a piece of work may begin; it is what is done in this context."""
        with self._one:
            while self._busy() and (left := self._rested_at - self._clock()) > 0:
                self._sleep(min(left, LOOK_SECONDS))
            began = self._clock()
            try:
                yield
            finally:
                ended = self._clock()
                self._rested_at = ended + REST * (ended - began)
