"""Keep configurations and tokenizers of models that other machines compute.

They lie in a cache of their own. What happens to a model in the others, its download, its end and its quota, then never
meets a race that needs no weights.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from huggingface_hub import errors, snapshot_download

from kvdemo.models.sources import checkpoint, own_cache
from kvdemo.models.sources.hub import hub_cache

#: What is kept at the most: hundreds of tokenizers.
KEPT_BYTES = 2_000_000_000


def cache() -> Path:
    """Return where they lie."""
    return own_cache.cache_folder() / "without-weights"


def find(hub_id: str) -> Path | None:
    """Find the folder that has a model's configuration and tokenizer."""
    with contextlib.suppress(errors.LocalEntryNotFoundError):
        folder = Path(snapshot_download(hub_id, cache_dir=cache(), local_files_only=True, **hub_cache.BESIDE_WEIGHTS))
        if checkpoint.has_all_beside_weights(folder):
            return folder
    return None


def make_room(hub_id: str, needed: int) -> None:
    """Remove the models that were downloaded longest ago, until `needed` bytes fit. It does not look who reads them."""
    mine = hub_cache.repository_folder(hub_id, cache())
    sizes = {
        folder: sum(file.lstat().st_size for file in folder.rglob("*"))
        for folder in cache().glob("models--*") if folder != mine
    }  # fmt: skip
    total = sum(sizes.values()) + needed
    for folder in sorted(sizes, key=lambda one: one.stat().st_mtime):
        if total <= KEPT_BYTES:
            return
        hub_cache.remove(folder)
        total -= sizes[folder]
