"""Know between processes which models of the visitors' cache are in use, and which was used last.

Each model has a file beside the cache. Whoever uses the model holds a shared lock on the file, which the system
releases when its holder is killed. The file's time is that of the last use; it is later than that of every use before,
also where the clock was set back. Where no file can be written there is no lock, and on Windows there is none at all.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from huggingface_hub.file_download import repo_folder_name

from kvdemo.models.sources import own_cache

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

#: By so much a use is later than the one before, where the clock says that it is not.
TICK_SECONDS = 0.001


def folder() -> Path:
    """Return where the files are."""
    return own_cache.cache_folder() / "in-use"


class Uses:
    """The models that this process uses."""

    def __init__(self) -> None:
        self._files: dict[str, IO[bytes]] = {}

    def begin(self, hub_id: str) -> None:
        """Use a model from now on; waits while another process removes it."""
        with contextlib.suppress(OSError):  # a full disk
            folder().mkdir(parents=True, exist_ok=True)
            if hub_id not in self._files:
                opened = _file(hub_id).open("ab")
                if fcntl:
                    fcntl.flock(opened, fcntl.LOCK_SH)
                self._files[hub_id] = opened
            others = (file.stat().st_mtime for file in folder().iterdir())
            now = max(time.time(), max(others, default=0.0) + TICK_SECONDS)
            os.utime(_file(hub_id), (now, now))

    def keep(self, hub_ids: Collection[str]) -> None:
        """Use no other models than these any longer."""
        for hub_id in self._files.keys() - set(hub_ids):
            self._files.pop(hub_id).close()

    @contextmanager
    def alone(self, hub_id: str) -> Iterator[bool]:
        """Tell whether no other process uses a model; if so, none begins to before the block ends."""
        mine = self._files.get(hub_id)
        if mine is None or not fcntl:
            yield True
            return
        try:
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
            sole = True
        except OSError:
            sole = False
        try:
            yield sole
        finally:
            fcntl.flock(mine, fcntl.LOCK_SH)


@contextmanager
def unused(hub_id: str) -> Iterator[bool]:
    """Tell whether no process uses a model; if so, none begins to before the block ends. This process must not."""
    try:
        opened = _file(hub_id).open("rb")
    except OSError:  # it was never used, or its use could not be recorded
        yield True
        return
    with opened:
        try:
            if fcntl:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def last_use(hub_id: str) -> float | None:
    """Return when a model was last used, in seconds; None where that is not known."""
    try:
        return _file(hub_id).stat().st_mtime
    except OSError:
        return None


def _file(hub_id: str) -> Path:
    return folder() / repo_folder_name(repo_id=hub_id, repo_type="model")
