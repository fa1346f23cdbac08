"""Know which of the Hub's models are on the disk.

Models that visitors download are kept in a separate cache, so that a user's own cache is never cleared; room is made
there by `visitors_quota`. No torch: it is asked before a run has the device.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from huggingface_hub import constants, errors, snapshot_download
from huggingface_hub.file_download import repo_folder_name

from kvdemo.core.errors import BadInput
from kvdemo.core.system import public_server
from kvdemo.models.sources import checkpoint, own_cache


def _files(*names: str) -> dict[str, Any]:
    """Choose files of a repository's own folder only, for the client of the Hub."""
    return {"allow_patterns": list(names), "ignore_patterns": ["*/*"]}


# Never a pickle: configuration and tokenizer, and weights as safetensors.
BESIDE_WEIGHTS = _files("*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken")
_WEIGHTS = _files("model.safetensors", "model-*-of-*.safetensors")
#: What is wanted, in the order in which it is downloaded. The weights come last, because a model that has all of its
#: weights counts as whole: another server must not load it while its tokenizer is still on the way.
IN_ORDER = (BESIDE_WEIGHTS, _WEIGHTS)
WANTED = _files(*BESIDE_WEIGHTS["allow_patterns"], *_WEIGHTS["allow_patterns"])


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
    return set((repository_folder(hub_id, cache) / "blobs").glob("*.incomplete"))


def discard(hub_id: str, cache: Path, before: Collection[Path]) -> None:
    """Remove what a download that was broken off has left; of the visitors' cache all, unless a model is whole."""
    for file in partial_files(hub_id, cache) - set(before):
        file.unlink(missing_ok=True)
    if cache == visitors() and whole(hub_id) is None:
        remove(repository_folder(hub_id, cache))


def repository_folder(hub_id: str, cache: Path) -> Path:
    """Return where a cache has a model, whether it is there or not."""
    return cache / repo_folder_name(repo_id=hub_id, repo_type="model")


def changed(file: Path) -> float:
    """Return when a file or folder was changed, in seconds; 0 for one that was removed meanwhile."""
    try:
        return file.lstat().st_mtime
    except OSError:
        return 0.0


def remove(repository: Path) -> None:
    """Remove a model's folder from its cache, with the locks of its downloads."""
    shutil.rmtree(repository, ignore_errors=True)
    shutil.rmtree(repository.parent / ".locks" / repository.name, ignore_errors=True)
