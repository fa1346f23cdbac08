"""Hold one measured figure beside its target."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """`target` is a bound: `at_most` says on which side of it `value` should be. None: shown for what it is.

    A figure with an `interval` (95 % confidence) is judged by it: it holds where the whole interval is on the right
    side of the target, it is missed where the whole interval is on the wrong side, and it is open where the interval
    contains the target. An open figure needs more rounds; it is no failure.
    """

    name: str
    value: float
    unit: str
    target: float | None = None
    at_most: bool = True
    interval: tuple[float, float] | None = None

    @property
    def holds(self) -> bool | None:
        """Tell whether the target holds; None without a target, and where the interval contains it."""
        if self.target is None:
            return None
        reached = {self._reaches(bound, self.target) for bound in self.interval or (self.value,)}
        return reached.pop() if len(reached) == 1 else None

    def _reaches(self, value: float, target: float) -> bool:
        return value <= target if self.at_most else value >= target

    def __str__(self) -> str:
        bound = "" if self.target is None else f"{'≤' if self.at_most else '≥'} {self.target:g}"
        mark = "" if self.target is None else {True: "ok", False: "MISSED", None: "open"}[self.holds]
        spread = "" if self.interval is None else f" [{self.interval[0]:.3f}, {self.interval[1]:.3f}]"
        return f"{self.name:<78} {self.value:>9.3f}{spread} {self.unit:<12} {bound:<8} {mark}"
