"""Keep configurations and tokenizers of models that other machines compute.

They lie in a cache of their own. What happens to a model in the others, its download, its end and its quota, then never
meets a race that needs no weights.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from pathlib import Path

from huggingface_hub import errors, snapshot_download

from kvdemo.core.errors import BadInput
from kvdemo.core.figures import units
from kvdemo.models.sources import checkpoint, own_cache
from kvdemo.models.sources.hub import hub_cache

#: What is kept at the most: hundreds of tokenizers. Of one model no more than a tenth.
KEPT_BYTES = 2_000_000_000


def cache() -> Path:
    """Return where they lie."""
    return own_cache.cache_folder() / "without-weights"


def find(hub_id: str) -> Path | None:
    """Find a folder that has a model's configuration and tokenizer: here, or in the Hub's own cache."""
    for place in (cache(), hub_cache.own()):
        with contextlib.suppress(errors.LocalEntryNotFoundError, OSError):  # it may just be removed
            folder = Path(snapshot_download(hub_id, cache_dir=place, local_files_only=True, **hub_cache.BESIDE_WEIGHTS))
            if checkpoint.has_all_beside_weights(folder):
                return folder
    return None


def make_room(hub_id: str, needed: int, keep: Collection[str]) -> None:
    """Remove the models that were downloaded longest ago, until `needed` bytes fit; never those to `keep`.

    Raises BadInput for more than one model may have.
    """
    if needed > KEPT_BYTES / 10:
        raise BadInput(
            f"{hub_id} has {units.megabytes(needed)} beside its weights, and this server keeps at most "
            f"{units.megabytes(KEPT_BYTES // 10)} of one model: choose another model."
        )
    kept = {hub_cache.repository_folder(one, cache()) for one in keep}
    there = {folder: _size(folder) for folder in cache().glob("models--*")}
    there.pop(hub_cache.repository_folder(hub_id, cache()), None)
    total = needed + sum(there.values())
    for folder in sorted(there.keys() - kept, key=hub_cache.changed):
        if total <= KEPT_BYTES:
            return
        hub_cache.remove(folder)
        total -= there[folder]


def _size(folder: Path) -> int:
    """Count the bytes in a folder, whatever is renamed or removed in it meanwhile."""
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                size += Path(place, name).lstat().st_size
    return size
