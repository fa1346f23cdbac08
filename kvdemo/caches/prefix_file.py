"""Keep the keys and values of one race in a file, so that the next race resumes from them.

The format is that of `cache_file`: tensors and a header, nothing that could be run. A note in the header states the
figures of the run that wrote it, so that the next one can compare its time to first token.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

from kvdemo.caches import cache_file
from kvdemo.caches.prefix_store import PrefixEntry, PrefixRun
from kvdemo.core.errors import BadInput
from kvdemo.models.loaded import LoadedModel


class PrefixFile:
    """A `PrefixStore` of one file, named on the command line. `error` says why it could not be written, if so."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.error: str | None = None

    def find(self, model: LoadedModel) -> PrefixEntry | None:
        """Read what the file holds; None if there is no such file yet. Raises BadInput for one that cannot be used."""
        if not self.path.exists():
            return None
        pairs, ids, note = cache_file.read(self.path, model)
        return PrefixEntry(tuple(ids), pairs, _run(note))

    def put(self, model: LoadedModel, kept: PrefixEntry) -> str:
        """Write the file anew. Raises BadInput."""
        note = json.dumps(asdict(kept.run)) if kept.run else ""
        try:
            cache_file.write(self.path, kept.pairs, model, kept.ids, note)
        except BadInput as error:
            self.error = str(error)
            raise
        return f"Its {kept.amount} are saved in {self.path}: the next race with that file resumes from them."


def _run(note: str) -> PrefixRun | None:
    """Read a run's figures from the note of a file. None where they make no sense: then nothing is compared."""
    try:
        raw = json.loads(note)
        run = PrefixRun(float(raw["ttft_s"]), int(raw["prompt_tokens"]), int(raw["reused"]))
    except (LookupError, TypeError, ValueError, OverflowError, RecursionError):
        return None
    makes_sense = math.isfinite(run.ttft_s) and run.ttft_s > 0 and 0 <= run.reused < run.prompt_tokens
    return run if makes_sense else None
