"""Know which of the Hub's models are on the disk, and keep those that visitors had downloaded within a quota.

Models that visitors download are kept in a separate cache, so that a user's own cache is never cleared. Several servers
may share it: none removes what another uses (`in_use`). No torch: it is asked before a run has the device.
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
from typing import Any

from filelock import FileLock
from huggingface_hub import constants, errors, scan_cache_dir, snapshot_download
from huggingface_hub.file_download import repo_folder_name

from kvdemo.core.errors import BadInput
from kvdemo.core.figures import units
from kvdemo.core.system import public_server
from kvdemo.models.sources import checkpoint, own_cache
from kvdemo.models.sources.hub import in_use

# Of a repository's own folder only, and never a pickle: weights as safetensors, configuration, tokenizer.
WANTED: dict[str, Any] = {
    "allow_patterns": [
        "model.safetensors",
        "model-*-of-*.safetensors",
        "*.json",
        "*.jinja",
        "*.txt",
        "*.model",
        "*.tiktoken",
    ],
    "ignore_patterns": ["*/*"],
}
#: Partial files of a killed process are removed when nothing was written to them for this many seconds.
LEFT_SECONDS = 600.0
_making_room = threading.Lock()


def own() -> Path:
    """Return the Hub's local cache, which other programs use too."""
    return Path(constants.HF_HUB_CACHE)


def visitors() -> Path:
    """Return the cache for what visitors of a public server have downloaded."""
    return own_cache.cache_folder() / "hub"


def snapshots(hub_id: str) -> list[Path]:
    """List the folders of a model, whole or not: in the Hub's cache, and on a public server in the visitors'."""
    found = []
    for cache in [own(), visitors()] if public_server.is_public() else [own()]:
        with contextlib.suppress(errors.LocalEntryNotFoundError):
            found.append(Path(snapshot_download(hub_id, cache_dir=cache, local_files_only=True, **WANTED)))
    return found


def whole(hub_id: str) -> Path | None:
    """Find a folder that has every file of a model; of what kind it is, is not looked at."""
    return next((folder for folder in snapshots(hub_id) if _is_whole(folder, hub_id)), None)


def _is_whole(folder: Path, hub_id: str) -> bool:
    try:
        checkpoint.check_whole(folder, hub_id)
    except BadInput:
        return False
    return True


def partial_files(hub_id: str, cache: Path) -> set[Path]:
    """List what downloads of a model are writing, or have left."""
    return set((_repository(hub_id, cache) / "blobs").glob("*.incomplete"))


def discard(hub_id: str, cache: Path, before: Collection[Path]) -> None:
    """Remove what a download that was broken off has left; of the visitors' cache all, unless a model is whole."""
    for file in partial_files(hub_id, cache) - set(before):
        file.unlink(missing_ok=True)
    if cache == visitors() and whole(hub_id) is None:
        _remove(_repository(hub_id, cache))


def make_room(hub_id: str, needed: int, most: int, arriving: dict[str, int], keep: Collection[str]) -> None:
    """Remove the models of visitors that were used longest ago, until one more of `needed` bytes fits.

    most      bytes that all of them may have
    arriving  bytes of each further model that this process downloads; what others download is known from `in_use`
    keep      ids of models that are in use

    What is still to come takes its room, too, in the quota and on the disk. Raises BadInput where there is not enough
    to remove.
    """
    cache = visitors()
    with _making_room, _no_other_process(), contextlib.ExitStack() as unused:
        elsewhere = {one: size for one, size in in_use.arriving({hub_id, *arriving}).items() if whole(one) is None}
        arriving = arriving | elsewhere
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
        latest = max((_changed(file) for file in (folder, *folder.rglob("*"))), default=0.0)
        if hub_id not in coming and time.time() - latest > LEFT_SECONDS and whole(hub_id) is None:
            with in_use.unused(hub_id) as nobodys:
                if nobodys:
                    _remove(folder)


def _changed(file: Path) -> float:
    try:
        return file.lstat().st_mtime
    except OSError:  # it was deleted in the meantime
        return 0.0


def _arrived(hub_id: str, cache: Path) -> int:
    """Count the bytes that a download has written so far."""
    return sum(file.lstat().st_size for file in (_repository(hub_id, cache) / "blobs").glob("*"))


def _repository(hub_id: str, cache: Path) -> Path:
    return cache / repo_folder_name(repo_id=hub_id, repo_type="model")


def _remove(repository: Path) -> None:
    shutil.rmtree(repository, ignore_errors=True)
    shutil.rmtree(repository.parent / ".locks" / repository.name, ignore_errors=True)
