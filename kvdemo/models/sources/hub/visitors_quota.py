"""Keep the models that visitors had downloaded within a quota: make room for one more.

Several servers may share their cache: none removes what another uses (`in_use`).
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock
from huggingface_hub import scan_cache_dir

from kvdemo.core.errors import BadInput
from kvdemo.core.figures import units
from kvdemo.models.sources.hub import hub_cache, in_use

#: Partial files of a killed process are removed when nothing was written to them for this many seconds.
LEFT_SECONDS = 600.0
_making_room = threading.Lock()


def make_room(hub_id: str, needed: int, most: int, arriving: dict[str, int], keep: Collection[str]) -> None:
    """Remove the models of visitors that were used longest ago, until one more of `needed` bytes fits.

    most      bytes that all of them may have
    arriving  bytes of each further model that this process downloads; what others download is known from `in_use`
    keep      ids of models that are in use

    What is still to come takes its room, too, in the quota and on the disk. Raises BadInput where there is not enough
    to remove.
    """
    cache = hub_cache.visitors()
    with _making_room, _no_other_process(), contextlib.ExitStack() as unused:
        elsewhere = in_use.arriving({hub_id, *arriving})
        arriving = arriving | {one: size for one, size in elsewhere.items() if hub_cache.whole(one) is None}
        coming = {hub_id, *arriving}
        _sweep(cache, coming)
        found = scan_cache_dir(cache) if cache.exists() else None
        there = [repository for repository in (found.repos if found else ()) if repository.repo_id not in coming]
        short = sum(repository.size_on_disk for repository in there) + sum(arriving.values()) + needed - most
        free = shutil.disk_usage(next(place for place in (cache, *cache.parents) if place.exists())).free
        still_to_come = sum(max(0, size - _arrived(one, cache)) for one, size in arriving.items())
        short = max(short, needed + still_to_come - free)
        leaving = []
        for repository in sorted(there, key=lambda one: in_use.last_use(one.repo_id) or one.last_accessed):
            if short <= 0 or repository.repo_id in keep:
                continue
            if unused.enter_context(in_use.unused(repository.repo_id)):
                leaving.append(repository)
                short -= repository.size_on_disk
        if short > 0:
            raise BadInput(
                f"{hub_id} has {units.megabytes(needed)}, and of the {units.megabytes(most)} that this server keeps of "
                f"models, {units.megabytes(short)} too many are in use: try again later, or choose a smaller model."
            )
        in_use.note_arriving(hub_id, needed)
        if found is None:
            return
        for gone in leaving:
            # A copy of a repository on the Hub has its commits: looked for among all, they may be found in the copy.
            alone = replace(found, repos=frozenset({gone}))
            alone.delete_revisions(*(one.commit_hash for one in gone.revisions)).execute()


@contextmanager
def _no_other_process() -> Iterator[None]:
    """Inside, no other process makes room in the same cache."""
    lock = FileLock(in_use.folder() / "making-room.lock")
    with contextlib.suppress(OSError):  # a full disk, on which room is needed most of all
        in_use.folder().mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _sweep(cache: Path, coming: Collection[str]) -> None:
    """Remove what is no whole model: a process was killed while it was downloaded."""
    for folder in cache.glob("models--*"):
        hub_id = folder.name.removeprefix("models--").replace("--", "/", 1)
        latest = max((hub_cache.changed(file) for file in (folder, *folder.rglob("*"))), default=0.0)
        if hub_id not in coming and time.time() - latest > LEFT_SECONDS and hub_cache.whole(hub_id) is None:
            with in_use.unused(hub_id) as nobodys:
                if nobodys:
                    hub_cache.remove(folder)


def _arrived(hub_id: str, cache: Path) -> int:
    """Count the bytes that a download has written so far."""
    return sum(file.lstat().st_size for file in (hub_cache.repository_folder(hub_id, cache) / "blobs").glob("*"))
