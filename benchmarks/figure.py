"""One measured figure beside its target."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """`target` is a bound: `at_most` says on which side of it `value` should be. None: shown for what it is."""

    name: str
    value: float
    unit: str
    target: float | None = None
    at_most: bool = True

    @property
    def holds(self) -> bool | None:
        if self.target is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target

    def __str__(self) -> str:
        bound = "" if self.target is None else f"{'≤' if self.at_most else '≥'} {self.target:g}"
        mark = {True: "ok", False: "MISSED", None: ""}[self.holds]
        return f"{self.name:<78} {self.value:>9.3f} {self.unit:<12} {bound:<8} {mark}"
