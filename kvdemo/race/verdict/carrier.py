"""Find what carries the difference between the times of two runs: their usual steps, the prompt's, or one odd step.

A sum of seconds says that one run took longer, and medians say what its steps took. One slow step changes the sum and
no median. So the difference is split first, and a reason is given only for the part that carries it. Times are seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from kvdemo.core.types import TimedStep

#: A part that carries less of a difference than this is not its cause.
MOST = 0.5

Part = Literal["steps", "prompt", "odd_step"]


@dataclass(frozen=True, slots=True)
class OddStep:
    """Of the steps after the first, the one that took the longest: its number from 1, and the median of the others."""

    number: int
    seconds: float
    usual_seconds: float

    @property
    def excess(self) -> float:
        """What it took above the others."""
        return self.seconds - self.usual_seconds


def carrier(longer: Sequence[TimedStep], shorter: Sequence[TimedStep]) -> Part | None:
    """Name the part that carries the most of the time by which one run is the longer; None where no part does."""
    its_odd, odd = odd_step(shorter), odd_step(longer)
    parts: dict[Part, float] = {
        "steps": usual_seconds(longer) - usual_seconds(shorter),
        "prompt": longer[0].seconds - shorter[0].seconds,
        "odd_step": (odd.excess if odd else 0.0) - (its_odd.excess if its_odd else 0.0),
    }
    most = max(parts, key=lambda part: parts[part])
    return most if parts[most] >= MOST * (_seconds(longer) - _seconds(shorter)) else None


def usual_seconds(steps: Sequence[TimedStep]) -> float:
    """Calculate what the steps after the first would have taken had each taken their median."""
    later = [timed.seconds for timed in steps[1:]]
    return len(later) * median(later) if later else 0.0


def odd_step(steps: Sequence[TimedStep]) -> OddStep | None:
    """Find the step after the first that took the longest; None where there are no others to compare it with."""
    later = [timed.seconds for timed in steps[1:]]
    if len(later) < 2:
        return None
    place = max(range(len(later)), key=later.__getitem__)
    return OddStep(place + 2, later[place], median(later[:place] + later[place + 1 :]))


def _seconds(steps: Sequence[TimedStep]) -> float:
    return math.fsum(timed.seconds for timed in steps)
