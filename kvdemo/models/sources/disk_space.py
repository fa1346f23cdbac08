"""Check disk space before a download, report how files grow during it, and explain failed writes."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kvdemo.core.errors import BadInput
from kvdemo.core.events import Progress
from kvdemo.core.figures import units

SECONDS_BETWEEN_LOOKS = 0.2


def require_free(folder: Path, size: int, setting: str) -> None:
    """Raise BadInput unless `size` bytes fit where `folder` is or will be; `setting` is the variable that moves it."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < size:
        raise BadInput(
            f"The model needs {units.megabytes(size)} in {folder} and {units.megabytes(free)} are free: "
            f"make room, or set {setting} to a folder on another disk."
        )


def disk_error(error: Exception, folder: Path, setting: str) -> BadInput:
    """Explain a failed write in one sentence: an OSError, or what a library written in another language made of one."""
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
        why = "the disk is full: make room"
    elif number in (errno.EACCES, errno.EPERM, errno.EROFS):
        why = "writing is not permitted: allow it"
    else:
        why = f"{getattr(error, 'strerror', None) or error}: repair it"
    return BadInput(f"The model cannot be stored in {folder}, {why}, or set {setting} to another folder.")


@contextmanager
def report_growth(folder: Path, size: int, text: str, progress: Callable[[Progress], None]) -> Iterator[None]:
    """Report, while the body runs, how far the largest file under `folder` has grown towards `size` bytes.

    For work done by another process, which reports nothing itself. `progress` is called from another thread.
    """
    done = threading.Event()

    def look() -> None:
        while not done.wait(SECONDS_BETWEEN_LOOKS):
            grown = min(_largest_file(folder), size)
            progress(Progress(f"{text}: {units.megabytes(grown)} of {units.megabytes(size)}", grown / size))

    watcher = threading.Thread(target=look, name="kvdemo-download-progress", daemon=True)
    progress(Progress(text, 0.0))
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _largest_file(folder: Path) -> int:
    """Return the bytes of the largest file; files that vanish during it count as 0."""
    largest = 0
    for place, _, names in os.walk(folder):  # which passes over a folder that vanishes, as rglob does not
        for name in names:
            with contextlib.suppress(OSError):
                largest = max(largest, (Path(place) / name).stat().st_size)
    return largest
