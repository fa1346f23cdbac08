"""Measure how long threads of this process that could go on waited for a core, because others used all of them.

Linux counts it for each thread: the second number of /proc/<pid>/task/<tid>/schedstat, in nanoseconds ("time spent
waiting on a runqueue", Documentation/scheduler/sched-stats.rst of the kernel). Other systems do not tell.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kvdemo.core.figures import units

#: Seconds of each second that may be waited without a word. Measured on two cores: 0.02 beside light work, 0.75 beside
#: one program that computes all the time, 1.3 beside two.
MOST = 0.1
_THREADS = Path("/proc/self/task")


class CoreWaits:
    """Adds up what is waited while something is watched.

    waited_s   seconds that threads waited, of all threads together
    watched_s  seconds that were watched
    """

    def __init__(self, threads: Path = _THREADS) -> None:
        self._threads = threads
        self.waited_s = self.watched_s = 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Add what is waited in this context. A thread that ends in it is not counted."""
        before, began = self._so_far(), time.perf_counter()
        try:
            yield
        finally:
            self.watched_s += time.perf_counter() - began
            self.waited_s += sum(waited - before.get(thread, 0) for thread, waited in self._so_far().items()) / 1e9

    def sentences(self) -> list[str]:
        """Say what was waited, where that is much."""
        if self.share <= MOST:
            return []
        return [
            "Other work used this machine's cores meanwhile. In each second, threads that could go on waited "
            f"{units.seconds(self.share)} for a core. So steps took longer than they do on an idle machine."
        ]

    @property
    def share(self) -> float:
        """Seconds waited for each second watched; may be more than 1, with several threads."""
        return self.waited_s / self.watched_s if self.watched_s else 0.0

    def _so_far(self) -> Mapping[str, int]:
        """Return the nanoseconds that each thread has waited; nothing where the system does not tell."""
        found = {}
        for thread in self._threads.glob("*"):
            try:
                found[thread.name] = int((thread / "schedstat").read_text().split()[1])
            except (OSError, ValueError, IndexError):  # it has just ended, or the kernel does not count
                continue
        return found
