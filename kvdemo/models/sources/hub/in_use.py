"""Know between processes which models of the visitors' cache are in use, which was used last, and what is arriving.

Each model has a folder beside the cache. Whoever uses the model holds a lock on a file of its own there, which the
system releases when its holder is killed. For as long as a model is looked at or removed, the folder's gate is held,
and nobody begins to use it. Where no file can be written there is no lock.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from filelock import Timeout as LockTimeout
from huggingface_hub.file_download import repo_folder_name

from kvdemo.models.sources import own_cache

#: By so much a use is later than the one before, where the clock says that it is not.
TICK_SECONDS = 0.001
_GATE, _USED, _ARRIVING = "gate", "used", "arriving"
#: What a file system that cannot be written to, or has no locks, leads to.
_NO_LOCK = (OSError, NotImplementedError)


def folder() -> Path:
    """Return where the folders are."""
    return own_cache.cache_folder() / "models-in-use"


class Uses:
    """The models that this process uses."""

    def __init__(self) -> None:
        self._name = f"{uuid.uuid4().hex}.lock"
        self._locks: dict[str, FileLock] = {}

    def begin(self, hub_id: str) -> None:
        """Use a model from now on; waits while another process removes it.

        The time of its last use is later than that of every use before, also where the clock was set back.
        """
        with contextlib.suppress(*_NO_LOCK), _gate(hub_id):
            place = _place(hub_id)
            if hub_id not in self._locks:
                lock = FileLock(place / self._name, thread_local=False)
                lock.acquire(timeout=0)
                self._locks[hub_id] = lock
            others = (file.stat().st_mtime for file in folder().glob(f"*/{_USED}"))
            now = max(time.time(), max(others, default=0.0) + TICK_SECONDS)
            (place / _USED).touch()
            os.utime(place / _USED, (now, now))

    def keep(self, hub_ids: Collection[str]) -> None:
        """Use no other models than these any longer."""
        for hub_id in self._locks.keys() - set(hub_ids):
            _release(self._locks.pop(hub_id))

    @contextmanager
    def alone(self, hub_id: str) -> Iterator[bool]:
        """Tell whether no other process uses a model; if so, none begins to before the block ends."""
        if hub_id not in self._locks:
            yield True
            return
        with _gate(hub_id):
            yield not _is_used(hub_id, but=self._name)


@contextmanager
def unused(hub_id: str) -> Iterator[bool]:
    """Tell whether no process uses a model, this one included; if so, none begins to before the block ends."""
    if not _place(hub_id).exists():  # it was never used, or its use could not be recorded
        yield True
        return
    with _gate(hub_id):
        yield not _is_used(hub_id)


def last_use(hub_id: str) -> float | None:
    """Return when a model was last used, in seconds; None where that is not known."""
    try:
        return (_place(hub_id) / _USED).stat().st_mtime
    except OSError:
        return None


def note_arriving(hub_id: str, size: int) -> None:
    """Let other processes know how many bytes a model will have that this one downloads from now on."""
    with contextlib.suppress(OSError):  # a full disk
        _place(hub_id).mkdir(parents=True, exist_ok=True)
        (_place(hub_id) / _ARRIVING).write_text(str(size), "ascii")


def arriving(but: Collection[str]) -> dict[str, int]:
    """Return the bytes of each model that a process uses after it has noted how many will arrive, except some.

    Those that have arrived since are among them.
    """
    found = {}
    for place in folder().glob("models--*"):
        hub_id = place.name.removeprefix("models--").replace("--", "/", 1)
        try:
            size = int((place / _ARRIVING).read_text("ascii"))
        except (OSError, ValueError):  # none was downloaded here, or the disk was full
            continue
        if hub_id not in but:
            with unused(hub_id) as nobodys:
                if not nobodys:
                    found[hub_id] = size
    return found


def _place(hub_id: str) -> Path:
    return folder() / repo_folder_name(repo_id=hub_id, repo_type="model")


@contextmanager
def _gate(hub_id: str) -> Iterator[None]:
    """Inside, no process begins to use a model."""
    gate = FileLock(_place(hub_id) / _GATE, thread_local=False)
    with contextlib.suppress(*_NO_LOCK):  # a full disk
        _place(hub_id).mkdir(parents=True, exist_ok=True)
        gate.acquire()
    try:
        yield
    finally:
        gate.release()


def _is_used(hub_id: str, but: str = "") -> bool:
    """Tell whether a lock on a model is held, except that of one name. What a killed process left is removed."""
    for file in _place(hub_id).glob("*.lock"):
        if file.name == but:
            continue
        lock = FileLock(file, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except LockTimeout:
            return True
        except _NO_LOCK:
            continue
        _release(lock)
    return False


def _release(lock: FileLock) -> None:
    lock.release()
    with contextlib.suppress(OSError):  # another process looks at it
        Path(lock.lock_file).unlink(missing_ok=True)
