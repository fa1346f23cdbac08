"""Give the device to one run at a time, and tell those who wait how many come first."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import fmean

from kvdemo.core.cancellation import CancelToken
from kvdemo.core.figures.units import count
from kvdemo.engine.timer import Clock
from kvdemo.server.line import Line, Ticket

#: How often who waits looks whether it was stopped.
LOOK_SECONDS = 0.25
#: So many of the latest turns say how long one takes.
REMEMBERED = 20


class Turns:
    """Turns on the device, in the order of `Line`: addresses take turns, and within one first come, first served.

    Who waits is told its place, and how long that takes if turns take as long as the latest ones did on average.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._line = Line()  # the first one has its turn
        self._began = 0.0
        self._stop: CancelToken | None = None  # of who has the turn
        self._stopped_at: float | None = None
        self._ends_at: float | None = None
        self._seconds: deque[float] = deque(maxlen=REMEMBERED)

    @contextmanager
    def take(
        self,
        tell: Callable[[str], None],
        stop: CancelToken,
        arrival: int | None = None,
        address: str | None = None,
    ) -> Iterator[Callable[[], None]]:
        """Wait for a turn and hold it until the function that this yields is called, or the block ends.

        `tell(text)` says how long the line is. With `stop` set it waits no longer. Whoever was stopped while it waited
        has no turn: it must look at `stop` itself. `arrival` and `address` say where in the line one stands (`Line`).
        """
        with self._changed:
            ticket = self._line.join(arrival, address)
        came = False

        def give_back() -> None:
            with self._changed:
                if ticket not in self._line:
                    return
                if came:
                    self._seconds.append(self._clock() - self._began)
                    self._stop = None
                self._line.leave(ticket)
                self._changed.notify_all()

        try:
            came = self._came(ticket, tell, stop)
            yield give_back
        finally:
            give_back()

    def _came(self, ticket: Ticket, tell: Callable[[str], None], stop: CancelToken) -> bool:
        """Wait; returns whether the turn came."""
        told = ""
        with self._changed:
            while (place := self._line.place(ticket)) and not stop.is_set():
                if (text := self._text(place)) != told:
                    told = text
                    tell(text)
                self._changed.wait(LOOK_SECONDS)
            if place:
                return False
            self._began, self._stop, self._stopped_at, self._ends_at = self._clock(), stop, None, None
            return True

    def limit(self, seconds: float) -> None:
        """Say for how many seconds from now whoever has the turn may have it."""
        with self._changed:
            self._ends_at = self._clock() + seconds

    def overdue(self) -> float:
        """Return for how many seconds the turn has been held beyond its limit or Stop; ask often."""
        with self._changed:
            if self._stop is None:
                return 0.0
            now = self._clock()
            if self._stopped_at is None and self._stop.is_set():
                self._stopped_at = now
            return max(
                (now - end for end in (self._stopped_at, self._ends_at) if end is not None and end < now), default=0.0
            )

    def _text(self, place: int) -> str:
        first = "another run or a model's loading comes first" if place == 1 else f"{count(place, 'run')} come first"
        if not self._seconds:
            return f"Waiting for the device: {first}"
        left = place * fmean(self._seconds) - (self._clock() - self._began)
        return f"Waiting for the device: {first}, {_about(left)}"


def _about(seconds: float) -> str:
    """Write a time that is only a guess, in steps so wide that it need not change with each look."""
    if seconds < 10:
        return "a few seconds"
    if seconds < 60:
        return f"about {round(seconds / 10) * 10} s"
    return f"about {round(seconds / 60)} min"
