"""Get a model from the Hugging Face Hub, or from its local cache.

Left to itself, `from_pretrained` retries for most of a minute before it admits that there is no Hub. One question
with a deadline comes first here, so that an unreachable Hub costs seconds however it is unreachable.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, hf_hub_download, is_offline_mode, snapshot_download
from huggingface_hub.utils import filter_repo_objects
from tqdm import tqdm  # type: ignore[import-untyped]

from kvdemo.core.errors import BadInput
from kvdemo.core.events import Progress
from kvdemo.core.figures import units
from kvdemo.models.sources import disk_space, own_cache
from kvdemo.models.sources.checkpoint import check, check_config, check_files, read_json
from kvdemo.models.sources.hub import hub_cache, hub_errors, without_weights
from kvdemo.models.sources.hub.timeout import call_with_timeout
from kvdemo.models.sources.source import Source


@dataclass(frozen=True)
class Terms:
    """On what terms a model is downloaded for a visitor of a public server.

    most       bytes that it may have
    make_room  called with its bytes before they come; may raise BadInput
    """

    most: int
    make_room: Callable[[int], None]


def cached(hub_id: str) -> Source | None:
    """Find the model in a local cache, if all of it is there. Raises BadInput for one of the wrong kind."""
    for folder in hub_cache.snapshots(hub_id):
        if (config := folder / "config.json").exists():
            check_config(read_json(config, hub_id), hub_id)
        try:
            check(folder, hub_id)
        except BadInput:  # a download that was broken off, or one of the pickle alone: the Hub may have the rest
            continue
        return Source("hub cache", hub_id, folder, folder.name)
    return None


def cached_beside_weights(hub_id: str) -> Source | None:
    """Find a model's configuration and tokenizer on the disk, whether its weights are there or not."""
    folder = without_weights.find(hub_id)
    return Source("hub cache", hub_id, folder, folder.name) if folder else None


def fetch(
    hub_id: str,
    progress: Callable[[Progress], None],
    *,
    patience: float = 4.0,
    terms: Terms | None = None,
    weights: bool = True,
) -> Source:
    """Download a model into the Hub's cache, or the visitors' on their `terms`, at the commit that it has now.

    The Hub has `patience` seconds to say what it has. Without `weights` only what stands beside them is downloaded.
    Raises BadInput.
    """
    parts = hub_cache.IN_ORDER if weights else [hub_cache.BESIDE_WEIGHTS]
    cache, setting = (hub_cache.visitors(), own_cache.VARIABLE) if terms else (hub_cache.own(), "HF_HOME")
    if not weights:
        cache, setting = without_weights.cache(), own_cache.VARIABLE
    if not is_offline_mode():  # else nothing is asked, which the refusal says
        progress(Progress(f"Asking the Hugging Face Hub for {hub_id}"))
    try:
        sizes, folder = call_with_timeout(patience, lambda: _ask(hub_id, cache, terms, parts))
        check_config(read_json(folder / "config.json", hub_id), hub_id)  # not in that time: it imports transformers
        missing = {name: size for name, size in sizes.items() if not (folder / name).exists()}
        if terms:
            terms.make_room(sum(sizes.values()))
        disk_space.require_free(cache, sum(missing.values()), setting)
        progress(Progress(text := f"Downloading {hub_id} from the Hub", 0.0))
        done = 0
        for wanted in parts:
            bar = _bar(text, done, sum(missing.values()), progress)
            snapshot_download(hub_id, revision=folder.name, cache_dir=cache, tqdm_class=bar, **wanted)
            done += sum(missing[name] for name in filter_repo_objects(missing, **wanted))
        if weights:
            check(folder, hub_id)
    except BadInput:
        raise
    except hub_errors.FAILURES as error:
        raise hub_errors.explained(hub_id, error, cache, setting) from error
    return Source("hub", hub_id, folder, folder.name)


def answers(hub_id: str, patience: float) -> bool:
    """Tell whether the Hub says within `patience` seconds that it has a model."""
    try:
        call_with_timeout(patience, lambda: HfApi().model_info(hub_id))
    except hub_errors.FAILURES:
        return False
    return True


def _ask(hub_id: str, cache: Path, terms: Terms | None, parts: Sequence[dict[str, Any]]) -> tuple[dict[str, int], Path]:
    """Ask for the bytes of each file that is wanted of a model, and its present commit's folder and configuration.

    Raises BadInput for a model that cannot be had. Its size comes first, before any of it is downloaded.
    """
    listed = {file.rfilename: file.size for file in HfApi().model_info(hub_id, files_metadata=True).siblings or []}
    check_files({name for name in listed if "/" not in name}, hub_id)
    wanted = {name: listed[name] for part in parts for name in filter_repo_objects(listed, **part)}
    sizes = {name: size or 0 for name, size in wanted.items()}
    if terms:
        if unknown := [name for name, size in wanted.items() if size is None]:
            raise BadInput(f"The Hugging Face Hub gives no size for {unknown[0]} of {hub_id}: choose another model.")
        if (size := sum(sizes.values())) > terms.most:
            raise BadInput(
                f"{hub_id} has {units.megabytes(size)}, and this server downloads models of at most "
                f"{units.megabytes(terms.most)}: choose a smaller one."
            )
    return sizes, Path(hf_hub_download(hub_id, "config.json", cache_dir=cache)).parent


def _bar(text: str, done: int, size: int, progress: Callable[[Progress], None]) -> type[tqdm]:
    """Make a progress bar class that the Hub's client believes to be drawing, and that reports instead.

    done  bytes that had come before; size  bytes of all
    """
    seen = done

    class Reporting(tqdm):
        monitor_interval = 0  # no thread that looks after bars

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options | {"file": io.StringIO()})

        def display(self, *_: Any, **__: Any) -> None:
            nonlocal seen
            # Several bars count bytes (received, written): the one furthest ahead is shown. `size` is known
            # beforehand; a bar's own total grows while files are begun.
            if self.unit == "B" and size and seen < done + self.n <= size:
                seen = done + self.n
                progress(Progress(f"{text}: {units.megabytes(seen)} of {units.megabytes(size)}", seen / size))

    return Reporting
