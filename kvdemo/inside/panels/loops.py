"""Put the source of two strategies side by side, the lines that differ marked."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import kvdemo
from kvdemo import strategies
from kvdemo.core.settings.race import DEFAULT_LANES
from kvdemo.inside.panel import Subject
from kvdemo.strategies.base import Strategy

#: A line of one file and the line of the other that is aligned with it; None for a gap.
Pair = tuple[int | None, int | None]


def show(subject: Subject) -> Mapping[str, Any]:  # noqa: ARG001 - it is the same for every text and model
    """Show the two loops that a race compares unless it is told otherwise."""
    files = [_file(strategy) for strategy in DEFAULT_LANES]
    left, right = (path.read_text(encoding="utf-8").splitlines() for _, path in files)
    pairs = aligned(left, right)
    same = [pair for pair in pairs if None not in pair and left[pair[0] or 0].strip() == right[pair[1] or 0].strip()]
    loops = []
    for side, ((cls, path), lines) in enumerate(zip(files, (left, right), strict=True)):
        common = {pair[side] for pair in same}
        marked = [{"number": at + 1, "text": text, "only": at not in common} for at, text in enumerate(lines)]
        shown = path.relative_to(Path(kvdemo.__file__).parents[1]).as_posix()
        loops.append({"strategy": cls.id, "name": cls.name, "path": shown, "lines": marked})
    return {"loops": loops, "pairs": [list(pair) for pair in pairs]}


def aligned(left: Sequence[str], right: Sequence[str]) -> list[Pair]:
    """Pair the lines of two files in order: equal ones with each other, the lines between them one by one."""
    pairs: list[Pair] = []
    matcher = SequenceMatcher(None, [line.strip() for line in left], [line.strip() for line in right], autojunk=False)
    for _, from_left, to_left, from_right, to_right in matcher.get_opcodes():
        pairs += itertools.zip_longest(range(from_left, to_left), range(from_right, to_right))
    return pairs


def _file(strategy: str) -> tuple[type[Strategy], Path]:
    """Find the class of a strategy and the file that defines it."""
    cls = type(strategies.get(strategy))
    return cls, Path(inspect.getfile(cls))
