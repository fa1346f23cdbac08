"""Hold what a race shows before there is a sentence for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kvdemo.core.events import DivergenceKind, FindingKind
from kvdemo.engine.lane_history import LaneHistory

#: A lane and its index in the race.
Entry = tuple[int, LaneHistory]


@dataclass(frozen=True, slots=True)
class Found:
    """A finding without its sentence. `words` is what numbers cannot say.

    That is a remark, an error, why two texts differ, or what a cache holds.
    """

    kind: FindingKind
    lanes: tuple[int, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
    words: str = ""
    reason: DivergenceKind | None = None
