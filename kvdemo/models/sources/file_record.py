"""Record the size and SHA-256 of each file of a folder, and check the folder against its record.

To hash half a gigabyte takes seconds. So the files are hashed only if one has changed since they were found right, by
the file system's own times, or if that was a month ago: a disk may lose bytes without a time that tells.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

#: The record's name in the folder.
NAME = "kvdemo-files.json"
HASH_AGAIN_SECONDS = 30 * 24 * 3600.0


def write(folder: Path) -> None:
    """Record the files of a folder as they are now, on the disk and not only on their way to it. Raises OSError."""
    files = {}
    for file in sorted(path for path in folder.iterdir() if path.is_file() and path.name != NAME):
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
        files[file.name] = {"bytes": file.stat().st_size, "sha256": sha256(file)}
    _store(folder, files)


def read(folder: Path) -> dict[str, Any] | None:
    """Read the files of a folder's record, by name; None where there is no record, or one that says nothing."""
    return (_load(folder) or {}).get("files")


def sizes_hold(folder: Path) -> bool:
    """Tell whether all files of the record are there in their sizes. Takes no time."""
    files = read(folder)
    return files is not None and all(_size(folder / name) == entry["bytes"] for name, entry in files.items())


def unchanged(folder: Path) -> bool:
    """Tell whether all files are as they were when they were found right, not long ago. Takes no time."""
    record = _load(folder)
    try:
        return (
            record is not None
            and sizes_hold(folder)
            and record.get("times") == _times(folder, record["files"])
            and 0 <= time.time() - record["hashed_at"] < HASH_AGAIN_SECONDS
        )
    except FileNotFoundError:  # it is being removed
        return False


def holds(folder: Path, hashing: Callable[[], None]) -> bool:
    """Tell whether all files are as recorded. `hashing` is called before they are hashed, which may take seconds."""
    record = _load(folder)
    if record is None or not sizes_hold(folder):
        return False
    if unchanged(folder):
        return True
    hashing()
    try:
        right = all(sha256(folder / name) == entry["sha256"] for name, entry in record["files"].items())
    except OSError:  # a disk that cannot read its own file
        return False
    if right:
        with contextlib.suppress(OSError):  # a disk that cannot be written to hashes them again next time
            _store(folder, record["files"])
    return right


def sha256(file: Path) -> str:
    """Calculate the SHA-256 of a file's content."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _size(file: Path) -> int | None:
    return file.stat().st_size if file.is_file() else None


def _times(folder: Path, names: Iterable[str]) -> dict[str, list[int]]:
    """Return when content and attributes of each file last changed; the second cannot be set by a program."""
    found = ((name, (folder / name).stat()) for name in names)
    return {name: [stat.st_mtime_ns, stat.st_ctime_ns] for name, stat in found}


def _load(folder: Path) -> dict[str, Any] | None:
    try:
        record = json.loads((folder / NAME).read_text("utf-8"))
        files, hashed_at = record["files"], record["hashed_at"]
        known = all(isinstance(e["bytes"], int) and isinstance(e["sha256"], str) for e in files.values())
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    return record if files and known and isinstance(hashed_at, int | float) else None


def _store(folder: Path, files: dict[str, Any]) -> None:
    """Write the record, whole or not at all."""
    record = {"files": files, "times": _times(folder, files), "hashed_at": time.time()}
    part = folder / f"{NAME}.{os.getpid()}.part"
    try:
        part.write_text(json.dumps(record), "utf-8")
        part.replace(folder / NAME)
    finally:
        part.unlink(missing_ok=True)
