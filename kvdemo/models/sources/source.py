"""Say where a model's files came from. No torch: it is asked before a model is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kvdemo.core.types import SourceKind


@dataclass(frozen=True)
class Source:
    """Where a model came from: a folder that `from_pretrained` can read, and its provenance.

    `location` is what a reader can look up: a Hub id, a package and its version, a path. `revision` is the commit or
    the file's hash, None for a folder. Random weights have no folder; `location` is then the model on the Hub whose
    shape they fill.
    """

    kind: SourceKind
    location: str
    folder: Path | None
    revision: str | None = None
