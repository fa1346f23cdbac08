"""Get a model from the Hugging Face Hub, or from its local cache.

Left to itself, `from_pretrained` retries for most of a minute before it admits that there is no Hub. One question
with a deadline comes first here, so that an unreachable Hub costs seconds however it is unreachable.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, errors, hf_hub_download, snapshot_download
from huggingface_hub.utils import filter_repo_objects
from tqdm import tqdm  # type: ignore[import-untyped]

from kvdemo.core.errors import BadInput
from kvdemo.core.events import Progress
from kvdemo.models.loaded import Source
from kvdemo.models.sources import disk_space, hub_errors
from kvdemo.models.sources.checkpoint import check, check_config, check_files, read_json
from kvdemo.models.sources.timeout import call_with_timeout

# Of a repository's own folder only, and never a pickle: weights as safetensors, configuration, tokenizer.
_WANTED: dict[str, Any] = {
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
_SETTING = "HF_HOME"


def cached(hub_id: str) -> Source | None:
    """Find the model in the Hub's local cache, if all of it is there. Raises BadInput for one of the wrong kind."""
    try:
        folder = Path(snapshot_download(hub_id, local_files_only=True, **_WANTED))
    except errors.LocalEntryNotFoundError:
        return None
    if (config := folder / "config.json").exists():
        check_config(read_json(config, hub_id), hub_id)
    try:
        check(folder, hub_id)
    except BadInput:  # a download that was broken off, or one of the pickle alone: the Hub may have the rest
        return None
    return Source("hub cache", hub_id, folder, folder.name)


def fetch(hub_id: str, progress: Callable[[Progress], None], *, patience: float = 4.0) -> Source:
    """Download a model into the Hub's cache, at the commit that it has now.

    The Hub has `patience` seconds to say what it has. Raises BadInput.
    """
    cache = Path(constants.HF_HUB_CACHE)
    progress(Progress(f"Asking the Hugging Face Hub for {hub_id}"))
    try:
        sizes, folder = call_with_timeout(patience, lambda: _ask(hub_id))
        wanted = filter_repo_objects(sizes, **_WANTED)
        missing = sum(sizes[name] for name in wanted if not (folder / name).exists())
        disk_space.require_free(cache, missing, _SETTING)
        bar = _bar(f"Downloading {hub_id} from the Hub", missing, progress)
        snapshot_download(hub_id, revision=folder.name, tqdm_class=bar, **_WANTED)
        check(folder, hub_id)
    except BadInput:
        raise
    except hub_errors.FAILURES as error:
        raise hub_errors.explained(hub_id, error, cache, _SETTING) from error
    return Source("hub", hub_id, folder, folder.name)


def _ask(hub_id: str) -> tuple[dict[str, int], Path]:
    """Bytes of each file of a model, and the folder of its present commit, where its configuration is by now.

    Raises BadInput for a model that cannot be used: whether one may download it, and what it is, shows here.
    """
    listed = HfApi().model_info(hub_id, files_metadata=True).siblings or []
    sizes = {file.rfilename: file.size or 0 for file in listed}
    check_files({name for name in sizes if "/" not in name}, hub_id)
    config = Path(hf_hub_download(hub_id, "config.json"))
    check_config(read_json(config, hub_id), hub_id)
    return sizes, config.parent


def _bar(text: str, size: int, progress: Callable[[Progress], None]) -> type[tqdm]:
    """A progress bar class that the Hub's client believes to be drawing, and that reports instead."""
    seen = 0

    class Reporting(tqdm):
        monitor_interval = 0  # no thread that looks after bars

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options | {"file": io.StringIO()})

        def display(self, *_: Any, **__: Any) -> None:
            nonlocal seen
            # Several bars count bytes (received, written): the one furthest ahead is shown. `size` is known
            # beforehand; a bar's own total grows while files are begun.
            if self.unit == "B" and size and seen < self.n <= size:
                seen = self.n
                done = f"{disk_space.megabytes(seen)} of {disk_space.megabytes(size)}"
                progress(Progress(f"{text}: {done}", seen / size))

    progress(Progress(text, 0.0))
    return Reporting
