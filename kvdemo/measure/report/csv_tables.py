"""Write a measurement and its sweep as CSV: numbers and plain names alone, so that no cell can be a formula.

An unfinished document has rows too: what is missing stays empty.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

RUN_FIGURES = ("e2e_s", "ttft_s", "decode_s", "tpot_s", "tokenize_s", "tokens_per_s", "level_s")


def to_csv(document: Mapping[str, Any]) -> str:
    """Write one row a run. Times are in seconds; an empty cell is an undefined figure, such as TPOT for one token."""
    counts = ("repeat", "position", "tokens")
    rows = (
        [number, _name(lane.get("strategy")), *(number_of(run.get(name)) for name in (*counts, *RUN_FIGURES))]
        for number, lane in enumerate(document.get("lanes") or ())
        for run in lane.get("runs") or ()
    )
    return _csv(["lane", "strategy", *counts, *RUN_FIGURES], rows)


def sweep_csv(document: Mapping[str, Any]) -> str:
    """Write one row for each cell of the sweep and strategy; the header alone without a sweep. Times in seconds."""
    cells = (document.get("sweep") or {}).get("cells") or ()
    rows = (
        [
            *(number_of(cell.get(name)) for name in ("prompt_tokens", "new_tokens")),
            _name(strategy),
            number_of(seconds),
            number_of((cell.get("speedup") or {}).get(strategy)),
            _name((cell.get("bound") or {}).get(strategy)),
        ]
        for cell in cells
        for strategy, seconds in (cell.get("seconds") or {}).items()
    )
    return _csv(["prompt_tokens", "new_tokens", "strategy", "seconds", "speedup", "bound"], rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
    return out.getvalue()


def _name(value: Any) -> str:
    """Keep of a strategy's id or a bound nothing that a spreadsheet would run or that would break a row."""
    return re.sub(r"[^A-Za-z0-9_]+", "_", value) if isinstance(value, str) else ""


def number_of(value: Any) -> float | int | None:
    """Return a finite number as it is; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < math.inf:
        return None
    return value
