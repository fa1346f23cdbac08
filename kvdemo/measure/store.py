"""Store measurement documents by run id, also those of unfinished measurements."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

#: What is kept at the most, documents and bytes; the oldest go first. A long measurement has some megabytes.
MOST = 200
MOST_BYTES = 200_000_000
#: A file that a killed process left half written; a whole one is written in less.
_STALE_SECONDS = 3600
LONGEST_RUN_ID = 64
_RUN_ID = re.compile(rf"[0-9a-zA-Z-]{{1,{LONGEST_RUN_ID}}}")


def folder() -> Path:
    """Return the folder of the documents."""
    from kvdemo.models.sources.own_cache import cache_folder  # noqa: PLC0415 - a bare measuring machine lacks platformdirs

    return cache_folder() / "measurements"


def save(document: dict[str, Any]) -> None:
    """Write a document under its run's id, whole or not at all, and delete the oldest beyond the limits.

    If writing fails, log a warning and go on: the measurement itself is not lost. Raises what json raises for a
    document that cannot be one.
    """
    written = json.dumps(document).encode()
    if len(written) > MOST_BYTES:
        log.warning("a measurement of %d MB is not kept: it is too large", len(written) // 1_000_000)
        return
    try:
        folder().mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder(), suffix=".part", delete=False) as file:
            try:
                file.write(written)
                file.close()
                Path(file.name).replace(_path(document["run_id"]))
            finally:
                Path(file.name).unlink(missing_ok=True)
        _forget(_path(document["run_id"]))
    except OSError as error:
        log.warning("a measurement could not be kept: %s", error)


def is_worth_keeping(document: Mapping[str, Any]) -> bool:
    """Tell whether anything was measured. Whoever begins and leaves would otherwise end other visitors' links."""
    return any(lane["runs"] for lane in document["lanes"])


def delete(run_id: str) -> None:
    """Delete the document of a run, if it is kept."""
    with contextlib.suppress(OSError):
        _path(run_id).unlink(missing_ok=True)


def find(run_id: str) -> dict[str, Any] | None:
    """Read the document of a run; None if it is not, or no longer, kept."""
    if not _RUN_ID.fullmatch(run_id):
        return None
    try:
        document: dict[str, Any] = json.loads(_path(run_id).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return document


def _path(run_id: str) -> Path:
    return folder() / f"{run_id}.json"


def _forget(newest: Path) -> None:
    """Delete the oldest; `newest` stays, whatever the clock says that was set back."""
    now, files = time.time(), []
    for file in folder().iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process may have forgotten it just now
            found = file.stat()
            if file.suffix == ".json":
                files.append((file == newest, found.st_mtime, file, found.st_size))
            elif file.suffix == ".part" and now - found.st_mtime > _STALE_SECONDS:
                file.unlink()
    count = size = 0
    for _, _, file, its_size in sorted(files, reverse=True):
        count, size = count + 1, size + its_size
        if count > MOST or size > MOST_BYTES:
            file.unlink(missing_ok=True)
