"""Stopping a race from outside: a flag that is seen within one step, also from another process.

On ZeroGPU the race runs in a process of its own, forked when it likes, so the flag is a file: whoever knows
the run's id can raise it, and looking at it costs microseconds a step.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Protocol


class CancelToken(Protocol):
    """What a race asks before each step; `threading.Event` is one, too."""

    def is_set(self) -> bool: ...
    def set(self) -> None: ...


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
