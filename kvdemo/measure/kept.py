"""Measurements that outlive the page they were started on: each is kept under its run's id, as far as it came."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import tempfile
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

MOST = 200
_RUN_ID = re.compile(r"[0-9a-zA-Z-]{1,64}")


def folder() -> Path:
    """Where documents are kept."""
    from kvdemo.models.pypi import cache_folder  # noqa: PLC0415 - a bare measuring machine lacks platformdirs

    return cache_folder() / "measurements"


def keep(document: dict[str, Any]) -> None:
    """Write a document under its run's id, whole or not at all, and forget the oldest beyond `MOST`.

    A disk that takes nothing more costs the keeping, not the measurement.
    """
    try:
        folder().mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder(), suffix=".part", delete=False, encoding="utf-8") as file:
            json.dump(document, file)
        Path(file.name).replace(_path(document["run_id"]))
        _forget()
    except OSError as error:
        log.warning("a measurement could not be kept: %s", error)


def find(run_id: str) -> dict[str, Any] | None:
    """The document of a run, or None if it is not (or no longer) kept."""
    if not _RUN_ID.fullmatch(run_id):
        return None
    try:
        document: dict[str, Any] = json.loads(_path(run_id).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return document


def _path(run_id: str) -> Path:
    return folder() / f"{run_id}.json"


def _forget() -> None:
    ages = []
    for file in folder().glob("*.json"):
        with contextlib.suppress(FileNotFoundError):  # another process may have forgotten it just now
            ages.append((file.stat().st_mtime, file))
    for _, file in sorted(ages)[:-MOST]:
        file.unlink(missing_ok=True)
