"""Stop a race from outside, also from another process: a flag that is checked before each step.

On ZeroGPU the race runs in a process of its own. So the flag is a file: any process that knows the run's id can set
it, and checking it takes microseconds a step.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from pathlib import Path
from typing import Protocol


class CancelToken(Protocol):
    """A flag that a race checks before each step; `threading.Event` is one, too."""

    def is_set(self) -> bool: ...
    def set(self) -> None: ...


def why(stop: CancelToken) -> str:
    """Return the sentence that says why a run is stopped; empty where somebody stopped it."""
    return str(getattr(stop, "why", ""))


class TimeLimit:
    """A stop flag that also rises by itself after so many seconds; `why` is then a sentence on that."""

    clock = staticmethod(time.monotonic)

    def __init__(self, stop: CancelToken, seconds: float, sentence: str) -> None:
        self.why = ""
        self._stop, self._sentence = stop, sentence
        self._end = self.clock() + seconds

    def is_set(self) -> bool:
        if self._stop.is_set():
            return True
        if not self.why and self.clock() >= self._end:
            self.why = self._sentence
        return bool(self.why)

    def set(self) -> None:
        self._stop.set()


class CancelFile:
    """The stop flag of one run. `clear` removes it when the run is over."""

    def __init__(self, run_id: str) -> None:
        name = hashlib.sha256(run_id.encode()).hexdigest()
        self._path = Path(tempfile.gettempdir()) / f"kvdemo-stop-{name}"

    def is_set(self) -> bool:
        return self._path.exists()

    def set(self) -> None:
        self._path.touch()

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)
