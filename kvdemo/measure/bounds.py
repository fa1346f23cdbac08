"""What holds a step up: launching its operations, moving its bytes, or doing its arithmetic.

Three times can be predicted for a step from what it was (positions run, context attended to, cache held) and from
what this device was measured to reach (`kvdemo.limits`). The largest of them is what binds it: a step cannot take less.
Decoding with a cache at batch 1 reads every weight for one token, which is memory bandwidth; a long prompt shares each
weight it reads among many positions, which is compute; a small model on a big GPU waits for neither but for the
host, which launches operations one by one. Where the cache wins, and where it cannot, follows from that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from kvdemo import costs, words
from kvdemo.costs import Architecture
from kvdemo.limits import Limits

Bound = Literal["launch", "bandwidth", "compute"]
#: Below this share of the measured time the largest limit is not the whole story, and the reason says so.
UNEXPLAINED = 0.5
WORDS: dict[Bound, str] = {"launch": "launch overhead", "bandwidth": "memory bandwidth", "compute": "compute"}


@dataclass(frozen=True)
class Prediction:
    """Seconds that each limit allows for, at the least; `bytes` moved and `flops` done. Adds up over steps.

    floor_s  the larger of memory and arithmetic, step by step: the roofline. Launching can be had cheaper
    """

    launch_s: float = 0.0
    bandwidth_s: float = 0.0
    compute_s: float = 0.0
    floor_s: float = 0.0
    bytes: float = 0.0
    flops: float = 0.0

    def __add__(self, other: Prediction) -> Prediction:
        return Prediction(
            self.launch_s + other.launch_s,
            self.bandwidth_s + other.bandwidth_s,
            self.compute_s + other.compute_s,
            self.floor_s + other.floor_s,
            self.bytes + other.bytes,
            self.flops + other.flops,
        )

    @property
    def bound(self) -> Bound:
        times: dict[Bound, float] = {
            "launch": self.launch_s, "bandwidth": self.bandwidth_s, "compute": self.compute_s,
        }  # fmt: skip
        return max(times, key=lambda name: times[name])


@dataclass(frozen=True)
class Machine:
    """A model on a measured device.

    weight_bytes  read once for each step's new positions: the active parameters
    operations    issued by one step, each launched by the host
    """

    architecture: Architecture
    limits: Limits
    itemsize: int
    operations: int

    @property
    def weight_bytes(self) -> int:
        return self.architecture.active_parameters * self.itemsize

    def step(self, positions: int, context: int, cache_bytes: int) -> Prediction:
        """Predict a step of `positions` new positions at a context of so many, which leaves a cache of `cache_bytes`.

        Bandwidth: the weights and the cache are read once. Compute: `costs.step_flops`.
        """
        moved = self.weight_bytes + cache_bytes
        flops = costs.step_flops(self.architecture, positions, context)
        bandwidth, compute = moved / self.limits.bandwidth, flops / self.limits.matmul_flops_per_s
        return Prediction(
            launch_s=self.operations * self.limits.launch_s,
            bandwidth_s=bandwidth,
            compute_s=compute,
            floor_s=max(bandwidth, compute),
            bytes=moved,
            flops=flops,
        )

    def decode_floor_s(self, context: int) -> float:
        """The least that a step with a cache can take at this context, in seconds."""
        held = costs.kv_bytes(self.architecture, context, self.itemsize)
        return self.step(1, context, held).floor_s

    def no_cache_floor_s(self, context: int) -> float:
        """The least that a step can take that runs all of the context again, in seconds."""
        return self.step(context, context, 0).floor_s


def total(predictions: Iterable[Prediction]) -> Prediction:
    """The sum over steps."""
    return sum(predictions, Prediction())


def reason(machine: Machine, steps: int, predicted: Prediction, measured_s: float) -> str:
    """Why a lane's decode steps take what they take, with the figures per step."""
    said = f"Bound by {WORDS[predicted.bound]}: {_bound(machine, predicted, steps)}"
    said += f" of the {words.seconds(measured_s / steps)} measured."
    if predicted.bound == "launch":
        said += f" Memory and arithmetic need {words.seconds(predicted.floor_s / steps)}."
    if max(predicted.launch_s, predicted.floor_s) < UNEXPLAINED * measured_s:
        said += " None of the three limits explains the rest: host work between operations, or a busy machine."
    return said


def _bound(machine: Machine, predicted: Prediction, steps: int) -> str:
    """The largest of the three times for one step, and what makes it up."""
    limits = machine.limits
    match predicted.bound:
        case "bandwidth":
            what = f"a step reads {words.amount(predicted.bytes / steps, 'B')} of weights and cache"
            rate, takes = words.amount(limits.bandwidth, "B/s"), predicted.bandwidth_s
        case "compute":
            what = f"a step does {words.amount(predicted.flops / steps, 'FLOP')}"
            rate, takes = words.amount(limits.matmul_flops_per_s, "FLOP/s"), predicted.compute_s
        case "launch":
            what = f"a step issues {words.count(machine.operations, 'operation')}"
            rate, takes = f"{words.seconds(limits.launch_s)} each", predicted.launch_s
    return f"{what}, which at the measured {rate} takes at least {words.seconds(takes / steps)}"


def cell_reason(baseline: tuple[str, Bound], lane: tuple[str, Bound], speedup: float | None) -> str:
    """Why a lane gained what it gained over the baseline, at one prompt length and token count, prefill included.

    Without a `speedup` their runs overlap, and no gain is claimed.
    """
    (baseline_name, before), (name, now) = baseline, lane
    gain = "Their runs overlap: the two cannot be told apart"
    if speedup is not None:
        gain = f"{name} is {speedup:.2f}× as fast"
    if before != now:
        why = ": the positions that are not run again are what is saved" if before == "compute" else ""
        return f"{baseline_name} is bound by {WORDS[before]}, {name} by {WORDS[now]}{why}. {gain}."
    why = {
        "launch": "the host cannot launch operations any faster, however little each has to do",
        "bandwidth": "each step reads the weights once, and the positions run again ride along with them",
        "compute": "what counts is how many positions each runs",
    }[now]
    return f"Both are bound by {WORDS[now]}: {why}. {gain}."
