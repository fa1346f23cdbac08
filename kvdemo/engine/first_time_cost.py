"""Tell first-time costs from decoding: the seconds that a step takes because its length has not been run before.

A library may build a plan for a new length, tune a kernel or compile it. In a loop whose text grows, every length is
new: each step pays, and the cost looks like decoding. It shows when the same lengths run twice.

In a race the warm-up has run the lane's first lengths, and the race goes on to new ones. Steps on either side of that
line are compared. They count as different where every step at a new length took longer than every step at a length
that had run before, by a factor of 1.2 between the medians. If a step's time did not depend on the line, that order
of n and m steps would come up once in (n + m)! / (n! m!) races: with 4 and 8 steps, once in 495.

In a measurement the warm-up run takes the same lengths as the timed ones. Its steps are compared with theirs, length
by length. A machine's speed drifts between two runs: by a factor of up to 1.5 (0.81 against 1.22 of the mean, seen on
a shared machine). So nine steps of ten have to be slower by more than that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from kvdemo.core.figures import units
from kvdemo.core.types import TimedStep

#: Ratio of medians between neighbouring steps of one race, beyond which they differ.
RATIO = 1.2
#: The same between two runs, seconds or minutes apart.
DRIFT = 1.5
_LEAST = 4  # steps on either side
_MOST = 32  # steps at new lengths: those that are nearly as long as the ones seen


@dataclass(frozen=True)
class FirstUse:
    """Median seconds of a step at new lengths and at lengths that had run before, over as many positions."""

    new_s: float
    seen_s: float

    @property
    def extra_s(self) -> float:
        return self.new_s - self.seen_s


def in_race(steps: Sequence[TimedStep], warmed: int) -> FirstUse | None:
    """Find first-time cost in a lane's steps, where the warm-up had run the first `warmed`; None if there is none.

    The first step, the prefill, is left out. Steps may run unlike many positions: a lane without a cache runs more in
    each step, one with a draft more or fewer. Between none and all of a step's time may grow with them. So a step at
    a length seen is taken for as long as it may have been over as many positions as the new ones have, and a new one
    for as short.
    """
    seen, new = steps[1:warmed], steps[warmed : warmed + _MOST]
    if len(seen) < _LEAST or len(new) < _LEAST:
        return None
    here = median(step.step.positions for step in new)
    seen_s = [step.seconds * max(1.0, _share(here, step)) for step in seen]
    new_s = [step.seconds * min(1.0, _share(here, step)) for step in new]
    found = FirstUse(median(new_s), median(seen_s))
    return found if min(new_s) > max(seen_s) and found.new_s > RATIO * found.seen_s else None


def _share(positions: float, step: TimedStep) -> float:
    """Divide so many positions by those that a step ran."""
    return positions / max(1, step.step.positions)


def between_runs(warmup: Sequence[TimedStep], timed: Sequence[TimedStep]) -> FirstUse | None:
    """Find first-time cost in a warm-up run against a timed run of the same lengths; the prefill is left out."""
    pairs = [(first.seconds, again.seconds) for first, again in zip(warmup[1:], timed[1:], strict=False)]
    if len(pairs) < _LEAST or sum(first > DRIFT * again for first, again in pairs) < 0.9 * len(pairs):
        return None
    return FirstUse(median(first for first, _ in pairs), median(again for _, again in pairs))


def race_sentence(name: str, found: FirstUse) -> str:
    """Write the finding in a race as a sentence."""
    return (
        f"{name}: a step at a new length took {units.seconds(found.new_s)}, at one that had run before "
        f"{units.seconds(found.seen_s)}: {units.seconds(found.extra_s)} of each step is first-time cost (a plan or a "
        "compilation for the length), not decoding."
    )


def warmup_sentence(name: str, found: FirstUse) -> str:
    """Write the finding in a measurement as a sentence."""
    return (
        f"{name}: in the warm-up run, where each length was new, a step took {units.seconds(found.new_s)}, and "
        f"{units.seconds(found.seen_s)} when the same lengths ran again. These figures are of lengths that had run "
        f"before; the first time costs {units.seconds(found.extra_s)} more a step (a plan or a compilation for the "
        "length)."
    )
