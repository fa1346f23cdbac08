"""Have those wait who took much time of late: whoever took least of it comes next.

With turns by address alone, four visitors whose work takes five seconds each would keep a fifth, whose work takes a
tenth of a second, waiting for twenty.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from kvdemo.core.visitor import one_visitors
from kvdemo.engine.timer import Clock

#: After so many seconds half of what an address took is forgotten.
HALF_LIFE_S = 60.0
#: So many addresses are remembered: where there are more, those that took most.
MOST = 1000


class LeastUsed:
    """Turns at something that one may use at a time, by how many seconds each address has used it of late.

    Among equals, who came first comes first. Who has no address is a visitor of his own.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._waiting: dict[int, object] = {}  # numbers in the order in which they came, and whose they are
        self._taken = False
        self._used: dict[object, tuple[float, float]] = {}  # seconds, and when they were added up

    def __len__(self) -> int:
        """Count those who wait."""
        return len(self._waiting)

    @contextmanager
    def turn(self, address: str | None = None) -> Iterator[None]:
        """Wait for a turn, and hold it in this context."""
        with self._changed:
            number = next(self._numbers)
            of = number if address is None else one_visitors(address)
            self._waiting[number] = of
            try:
                self._changed.wait_for(lambda: not self._taken and self._next() == number)
                self._taken = True
            finally:
                del self._waiting[number]
        began = self._clock()
        try:
            yield
        finally:
            with self._changed:
                self._taken = False
                self._used[of] = self._seconds(of) + self._clock() - began, self._clock()
                if len(self._used) > MOST:
                    del self._used[min(self._used, key=self._seconds)]
                self._changed.notify_all()

    def _next(self) -> int:
        return min(self._waiting, key=lambda number: (self._seconds(self._waiting[number]), number))

    def _seconds(self, of: object) -> float:
        seconds, at = self._used.get(of, (0.0, 0.0))
        return seconds * 0.5 ** ((self._clock() - at) / HALF_LIFE_S)
