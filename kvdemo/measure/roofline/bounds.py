"""Find what limits a step: launching its operations, moving its bytes, or doing its arithmetic.

Several times are predicted for a step from its forward passes (rows, positions, context) and from what this device was
measured to reach (`device_peaks`). The step cannot take less than the largest of them, which is what binds it.

    bandwidth  decoding with a cache at batch 1 reads every weight for one token
    compute    a long prompt shares each weight that is read among many positions
    launch     a small model on a big GPU waits for the host, which launches operations one by one
    library    on some CPUs the math library reads the weights of a one-row product slower than the memory delivers them

Where the cache wins, and where it cannot, follows from that.

A prediction above the time that was measured is wrong: a limit was measured too low. It explains nothing.
`what_binds` has the sentences.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from kvdemo.core.types import Bound, Pass
from kvdemo.costs import formulas
from kvdemo.costs.architecture import Architecture
from kvdemo.measure.roofline.device_peaks import DevicePeaks

#: The math library is the limit where the memory delivers this many times what it reads.
LIBRARY = 1.5


class Prediction(NamedTuple):
    """Seconds that each limit allows for, at the least. `total` adds it up over passes and steps.

    launch_s  0 where the launches of a pass are not known
    library_s of one-row products, at what the math library reads of this model's weights; 0 where it keeps up with the
              memory, or was not measured. Compiled code may be quicker
    floor_s   the larger of memory and arithmetic, pass by pass: the roofline. Launching can be had cheaper
    bytes     moved, of weights and caches
    flops     done
    launches  operations that the host launches; 0 where they are not known
    passes    forward passes
    """

    launch_s: float = 0.0
    bandwidth_s: float = 0.0
    compute_s: float = 0.0
    floor_s: float = 0.0
    bytes: float = 0.0
    flops: float = 0.0
    launches: float = 0.0
    passes: float = 0.0
    library_s: float = 0.0

    @property
    def times(self) -> dict[Bound, float]:
        """Seconds by limit."""
        return {
            "launch": self.launch_s,
            "library": self.library_s,
            "bandwidth": self.bandwidth_s,
            "compute": self.compute_s,
        }

    @property
    def bound(self) -> Bound:
        """The limit that asks for the most time."""
        return max(self.times, key=lambda name: self.times[name])

    def binding(self, measured_s: float) -> Bound | None:
        """Name the limit that binds what took so long; None where a roofline is above it: the device reaches more.

        Launches that would take longer than was measured were not made one by one, and a library that would was not
        used as it was measured: they bind nothing.
        """
        if self.floor_s > measured_s:
            return None
        possible = self._replace(
            launch_s=self.launch_s if self.launch_s <= measured_s else 0.0,
            library_s=self.library_s if self.library_s <= measured_s else 0.0,
        )
        return possible.bound


@dataclass(frozen=True)
class RooflineModel:
    """A model on a measured device, and a strategy's passes on it.

    operations  that one pass gives to the device, each launched by the host; None where they cannot be counted
    read_bytes  of weights, for a pass of one position
    draft       the model that drafts, in the same number format; None where there is none
    draft_read_bytes  of that, the same as `read_bytes`
    lanes       the same machine with what is known of one strategy only: its operations and its draft model
    """

    architecture: Architecture
    limits: DevicePeaks
    itemsize: int
    operations: float | None
    read_bytes: int
    draft: Architecture | None = None
    draft_read_bytes: int = 0
    lanes: Mapping[str, RooflineModel] = field(default_factory=dict)

    def for_strategy(self, strategy: str) -> RooflineModel:
        """Return the machine as a strategy uses it."""
        return self.lanes.get(strategy, self)

    def step(self, positions: int, context: int, cache_bytes: int) -> Prediction:
        """Predict one pass of one row: `positions` new positions, at a context that includes them.

        Bandwidth: the weights and `cache_bytes` are read once. Compute: `formulas.step_flops`.
        """
        return self._passed(self.architecture, Pass(1, positions, context), cache_bytes)

    def ran(self, passes: Iterable[Pass], cache_bytes: int) -> Prediction:
        """Predict a step of these passes, which holds a cache of `cache_bytes` at its end.

        Each pass reads the weights once, for all rows and positions. In a mixture of experts these may ask for
        different experts; counted are those of one token, as if all asked for the same: no pass can read less.

        Each pass reads the keys and values that its rows attend to, by formula (`formulas.read_bytes`): as small a
        share of them as is held, where a cache is smaller than by formula (packed numbers, none at all), and no more
        than what is in use where it is larger (room that is reserved). The passes of a draft model whose shape is not
        known count for nothing.
        """
        return self.steps(((passes, cache_bytes),))

    def steps(self, steps: Iterable[tuple[Iterable[Pass], int]]) -> Prediction:
        """Predict steps, each with its passes and the bytes of the cache at its end: the sum of `ran`."""
        return total(
            self._passed(shape, ran, self._read(shape, ran, held))
            for passes, held in steps
            for ran in passes
            if (shape := self.draft if ran.draft else self.architecture)
        )

    def _read(self, shape: Architecture, ran: Pass, held: int) -> int:
        """Count the bytes that a pass reads of a cache that holds `held`."""
        least = formulas.read_bytes(shape, ran.context, self.itemsize, ran.rows)
        kept = formulas.kv_bytes(shape, ran.context, self.itemsize, ran.rows)
        return least if held >= kept else held * least // kept

    def _passed(self, shape: Architecture, ran: Pass, cache_bytes: int) -> Prediction:
        weights = self.draft_read_bytes if ran.draft else self.read_bytes
        moved = weights + cache_bytes
        flops = formulas.pass_flops(shape, ran)
        bandwidth, compute = moved / self.limits.bandwidth, flops / self.limits.matmul_flops_per_s
        launches = self.operations or 0.0
        return Prediction(
            launch_s=launches * self.limits.launch_s,
            bandwidth_s=bandwidth,
            compute_s=compute,
            floor_s=max(bandwidth, compute),
            bytes=moved,
            flops=flops,
            launches=launches,
            passes=1.0,
            library_s=self._library(weights, cache_bytes) if ran.rows * ran.positions == 1 else 0.0,
        )

    def _library(self, weights: int, cache_bytes: int) -> float:
        """Predict a pass of one row in seconds where the math library reads weights slower than the memory delivers."""
        reads = self.limits.eager_bytes_per_s
        if not reads or self.limits.bandwidth < LIBRARY * reads:
            return 0.0
        return weights / reads + cache_bytes / self.limits.bandwidth

    def decode_floor_s(self, context: int) -> float:
        """Calculate the least that a step with a cache can take at this context, in seconds."""
        read = formulas.read_bytes(self.architecture, context, self.itemsize)
        return self.step(1, context, read).floor_s

    def no_cache_floor_s(self, context: int) -> float:
        """Calculate the least that a step can take that runs all of the context again, in seconds."""
        return self.step(context, context, 0).floor_s


def total(predictions: Iterable[Prediction]) -> Prediction:
    """Add up passes or steps, figure by figure."""
    return Prediction(*map(math.fsum, zip(*predictions, strict=True)))
