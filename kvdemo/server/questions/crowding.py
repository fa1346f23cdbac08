"""Count the questions, and their time, that come so close together that somebody's timed steps may wait for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from kvdemo.engine.timer import Clock

#: A question takes 0.15 to 0.6 ms of CPU of the engine's process (health and reasons; a fit and an estimate, of a tiny
#: model), so thirty take 0.5 to 2 % of a second. What is kept for a tenth of a second (`engine_process.backend`), three
#: kinds of question, never comes to more.
MOST_A_SECOND = 30
#: Seconds of CPU that questions may take of a second: as much as thirty do. A single one may take it all.
MOST_SECONDS = 0.02


class Crowding:
    """Counts what is too much for its second, each second by itself, so that bursts count, too.

    beyond  questions beyond `MOST_A_SECOND`
    """

    def __init__(self, clock: Clock = time.monotonic, spent: Clock = time.thread_time) -> None:
        self._clock, self._spent, self._lock = clock, spent, threading.Lock()
        self._second, self._in_second, self._seconds_in_second = float("-inf"), 0, 0.0
        self._answering: dict[int, float] = {}  # threads, and what each had spent when its question came
        self._seconds = 0.0
        self.beyond = 0

    def note(self) -> None:
        """Count a question that is asked now."""
        with self._lock:
            self._begin_second()
            self._in_second += 1
            self.beyond += self._in_second > MOST_A_SECOND

    @contextmanager
    def answered(self, read_seconds: float = 0.0) -> Iterator[None]:
        """Count the CPU time that this thread takes in this context, and the seconds of reading the question."""
        thread, began = threading.get_ident(), self._spent() - read_seconds
        with self._lock:
            self._answering[thread] = began
        try:
            yield
        finally:
            with self._lock:
                del self._answering[thread]
                self._begin_second()
                before = max(self._seconds_in_second, MOST_SECONDS)
                self._seconds_in_second += self._spent() - began
                self._seconds += max(0.0, self._seconds_in_second - before)

    @property
    def seconds_beyond(self) -> float:
        """Seconds of CPU beyond `MOST_SECONDS` of each second; those of questions that are not answered yet, too."""
        with self._lock:
            under_way = sum(_spent_by(thread) - began for thread, began in self._answering.items())
            return self._seconds + max(0.0, under_way - MOST_SECONDS)

    def _begin_second(self) -> None:
        if (now := self._clock()) >= self._second + 1:
            self._second, self._in_second, self._seconds_in_second = now, 0, 0.0


def _spent_by(thread: int) -> float:
    """Read another thread's clock of CPU seconds, `time.thread_time` there; -inf where the system has none to read.

    The caller knows that the thread goes on.
    """
    if not hasattr(time, "pthread_getcpuclockid"):
        return float("-inf")  # counted when it is answered
    return time.clock_gettime(time.pthread_getcpuclockid(thread))
