"""Estimate how long a measurement still takes: the known work ahead, at the pace seen so far.

Before a lane has run, its pace is predicted from a few steps of it (the probe) and from the device's measured matrix
throughput; after its warm-up it is the time that a run of it took.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from kvdemo.engine.timer import Clock

#: A lane's strategy and the prompt length of the sweep; 0 for the table's own prompt.
Kind = tuple[str, int]


@dataclass
class Pace:
    """Runs still to do, by kind (a lane at a prompt length), and the seconds that one of each kind takes."""

    ahead: dict[Kind, int]
    seconds: dict[Kind, float] = field(default_factory=dict)
    clock: Clock = time.monotonic
    _spent: float = 0.0
    _began: float | None = None

    def begin(self) -> None:
        """Note that a run begins."""
        self._began = self.clock()

    def done(self, kind: Kind) -> None:
        """Note that the run is over; the next of its kind is expected to take as long."""
        if self._began is not None:
            self.seconds[kind] = self.clock() - self._began
            self._spent += self.seconds[kind]
        self._began = None
        self.ahead[kind] = max(0, self.ahead[kind] - 1)

    def drop(self, kind: Kind) -> None:
        """Note that there will be no more runs of this kind."""
        self._began = None
        self.ahead[kind] = 0

    @property
    def remaining(self) -> float | None:
        """Seconds still to go; None while the pace of some kind is unknown."""
        if any(n and kind not in self.seconds for kind, n in self.ahead.items()):
            return None
        under_way = 0.0 if self._began is None else self.clock() - self._began
        return max(0.0, sum(n * self.seconds[kind] for kind, n in self.ahead.items() if n) - under_way)

    @property
    def fraction(self) -> float | None:
        """The part of the time that is over; None while what remains is unknown."""
        if (remaining := self.remaining) is None:
            return None
        spent = self._spent + (0.0 if self._began is None else self.clock() - self._began)
        return spent / (spent + remaining) if spent + remaining > 0 else 1.0
