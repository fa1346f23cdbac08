"""Count the questions that come so close together that somebody's timed steps may wait for them."""

from __future__ import annotations

import threading
import time

from kvdemo.engine.timer import Clock

#: A question takes 0.15 to 0.6 ms of CPU of the engine's process (health and reasons; a fit and an estimate, of a tiny
#: model), so thirty take 0.5 to 2 % of a second. What is kept for a tenth of a second (`engine_process.backend`), three
#: kinds of question, never comes to more.
MOST_A_SECOND = 30


class Crowding:
    """Counts the questions beyond `MOST_A_SECOND` of them in a second, each second by itself: bursts count, too."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._second, self._in_second = float("-inf"), 0
        self.beyond = 0

    def note(self) -> None:
        """Count a question that is asked now."""
        with self._lock:
            if (now := self._clock()) >= self._second + 1:
                self._second, self._in_second = now, 0
            self._in_second += 1
            self.beyond += self._in_second > MOST_A_SECOND
