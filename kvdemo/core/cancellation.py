"""Stop a race from outside, also from another process: a flag that is checked before each step.

On ZeroGPU the race runs in a process of its own. So the flag is a file: any process that knows the run's id can set
it, and checking it takes microseconds a step. In the process that sets it, it is set in memory too: Stop works on a
full disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import Protocol

log = logging.getLogger(__name__)


#: Where no file is, and none can be made.
NOWHERE = os.devnull


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


class CancelFiles:
    """The stop flags of a server's runs: files in a folder of its own, which goes when the server ends."""

    def __init__(self) -> None:
        self._set: set[str] = set()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="kvdemo-stop-", ignore_cleanup_errors=True)
        except OSError as error:
            log.warning("a run in another process cannot be stopped: %s", error)

    def close(self) -> None:
        """Remove the folder with all flags."""
        if self._folder:
            self._folder.cleanup()

    def of(self, run_id: str) -> CancelFile:
        """Return the flag of a run, which may be set before the run begins."""
        name = hashlib.sha256(run_id.encode(errors="replace")).hexdigest()
        folder = Path(self._folder.name if self._folder else NOWHERE)
        return CancelFile(folder / name, self._set)


class CancelFile:
    """The stop flag of one run: it is set while a file exists. `clear` removes it when the run is over.

    `names` are those of the flags that were set in this process.
    """

    def __init__(self, path: Path, names: set[str]) -> None:
        self._path, self._names = path, names

    def is_set(self) -> bool:
        return self._path.name in self._names or self._path.exists()

    def set(self) -> None:
        self._names.add(self._path.name)
        try:
            self._path.parent.mkdir(exist_ok=True)  # what tidies up temporary folders may have been there
            self._path.touch()
        except OSError as error:
            log.warning("a run in another process cannot be stopped: %s", error)

    def clear(self) -> None:
        self._names.discard(self._path.name)
        with contextlib.suppress(OSError):  # it is not there, or can be nowhere
            self._path.unlink()
