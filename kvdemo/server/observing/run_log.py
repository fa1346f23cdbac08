"""Write one line of JSON for each run, on a logger of its own."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from datetime import UTC, datetime

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.validation import show
from kvdemo.server.observing.run_record import RunRecord

log = logging.getLogger("kvdemo.runs")

VARIABLE = "KVDEMO_LOG"


def is_asked_for(value: str, *, public: bool) -> bool:
    """Tell whether lines are to be written: as the variable says, or else on a public server. Raises BadInput."""
    if value not in ("", "json", "off"):
        raise BadInput(f"{VARIABLE} must be json or off, not {show(value)}.")
    return value == "json" or (public and not value)


def open_log() -> None:
    """Send the lines to the standard error stream, each as it is."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.handlers[:] = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False


def write(record: RunRecord) -> None:
    """Write the line of a run."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    log.info(json.dumps({"time": now, **asdict(record)}))
