"""Spread the work that questions make in the engine's process, so that it disturbs no run's steps."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kvdemo.core.errors import AGAIN_SECONDS
from kvdemo.engine.timer import Clock

#: Beside a run, a piece of work is followed by a rest that is so many times as long.
REST = 19
#: How often who waits looks whether its turn has come.
LOOK_SECONDS = 0.25
#: Who has not looked again for so many times as long as it should is waited for no more.
MISSED_LOOKS = 3
#: Addresses of which is known who was served last.
MOST = 1000


class Pace:
    """Let one piece of work begin at a time, and while there are runs (`busy`), each after a rest from the last.

    Addresses take turns: of those that wait, the one that was served longest ago comes first.
    """

    def __init__(
        self, busy: Callable[[], bool], clock: Clock = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._busy, self._clock, self._sleep = busy, clock, sleep
        self._guard = threading.Lock()
        self._working = False
        self._rested_at = float("-inf")
        self._numbers = itertools.count(1)
        self._served: dict[str, int] = {}  # the longest ago first; 0 for who is not in it
        self._waiting: dict[str, float] = {}  # until when each address is waited for

    @contextmanager
    def taken(self, address: str = "", *, waits: bool = True) -> Iterator[bool]:
        """Wait until a piece of work may begin; it is what is done in this context.

        Without `waits` the turn may not have come, of which this yields whether it has. The address keeps its place
        until it asks again, in `AGAIN_SECONDS`.
        """
        while not (came := self._begin(address, LOOK_SECONDS if waits else AGAIN_SECONDS)) and waits:
            self._sleep(LOOK_SECONDS)
        if not came:
            yield False
            return
        began = self._clock()
        try:
            yield True
        finally:
            with self._guard:
                ended = self._clock()
                self._working, self._rested_at = False, ended + REST * (ended - began)

    def _begin(self, address: str, again: float) -> bool:
        """Begin if it is the turn of an address; else note that it waits, and looks again in so many seconds."""
        with self._guard:
            now = self._clock()
            self._waiting = {of: until for of, until in self._waiting.items() if now < until}
            rests = self._busy() and now < self._rested_at
            last = self._served.get(address, 0)
            if self._working or rests or any(self._served.get(of, 0) < last for of in self._waiting):
                self._waiting[address] = now + MISSED_LOOKS * again
                return False
            self._waiting.pop(address, None)
            self._served.pop(address, None)
            self._served[address] = next(self._numbers)
            if len(self._served) > MOST:
                del self._served[next(iter(self._served))]
            self._working = True
            return True
