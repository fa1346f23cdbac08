"""Say why a lane's steps take what they take, and why one lane gains over another, by what `bounds` found."""

from __future__ import annotations

from kvdemo.core.figures import statistics, units
from kvdemo.core.types import BOUNDS, Bound
from kvdemo.measure.roofline.bounds import Prediction, RooflineModel

#: Below this share of the measured time the largest limit is not the whole story, and the reason says so.
UNEXPLAINED = 0.5
_LATENT = (
    " Where a step has a cache of latents, the arithmetic is the least that it needs: transformers computes the keys "
    "and values of the whole context from them in each such step, which is not counted."
)
_SPARSE = (
    " Where an indexer chooses positions, no others are counted: transformers reads and computes all that are kept, "
    "and masks the rest."
)


def reason(machine: RooflineModel, steps: int, predicted: Prediction, measured_s: float) -> str:
    """Say why a lane's decode steps take what they take, with the figures per step."""
    bound = predicted.binding(measured_s)
    if bound is None:
        return _too_low(machine, predicted, steps, measured_s)
    said = f"Bound by {BOUNDS[bound]}: {_bound(machine, bound, predicted, steps)}"
    said += f" of the {units.seconds(measured_s / steps)} measured."
    said += (_LATENT if _latent(machine) else "") + (_SPARSE if _sparse(machine) else "")
    if bound == "launch":
        said += f" Memory and arithmetic need {units.seconds(predicted.floor_s / steps)}."
    if max(predicted.times[bound], predicted.floor_s) < UNEXPLAINED * measured_s:
        work = "that work, " if _latent(machine) or _sparse(machine) else ""
        said += (
            f" The limits that were measured do not explain the rest. It may be {work}Python between the operations, "
            "or other programs: close those and measure again to see what remains."
        )
    return said


def _latent(machine: RooflineModel) -> bool:
    """Tell whether a cache keeps latents, of which a step may do more than the least that is counted."""
    return any(shape.latent for shape in (machine.architecture, machine.draft) if shape)


def _sparse(machine: RooflineModel) -> bool:
    """Tell whether an indexer chooses positions, of which a step may read more than the least that is counted."""
    return any(shape.indexer for shape in (machine.architecture, machine.draft) if shape)


def _too_low(machine: RooflineModel, predicted: Prediction, steps: int, measured_s: float) -> str:
    """Say that a limit is contradicted by the time that was measured."""
    roofline = predicted._replace(launch_s=0.0, library_s=0.0)
    what = _bound(machine, roofline.bound, roofline, steps)
    return (
        f"The limit was measured too low: {what}, and a step took {units.seconds(measured_s / steps)}. Something else "
        "ran while the device was measured, or the data fits into a processor's cache. What binds the step cannot be "
        "said."
    )


def _bound(machine: RooflineModel, bound: Bound, predicted: Prediction, steps: int) -> str:
    """Write what a limit asks of one step, and what makes it up."""
    limits, passes = machine.limits, predicted.passes / steps
    step = "a step" if passes == 1 else f"a step of {units.figures(passes)} passes"
    match bound:
        case "bandwidth":
            what = f"{step} reads {units.amount(predicted.bytes / steps, 'B')} of weights and cache"
            rate, takes = units.amount(limits.bandwidth, "B/s"), predicted.bandwidth_s
        case "library":
            what = (
                f"{step} reads {units.amount(predicted.bytes / steps, 'B')} of weights and cache in products of one row"
            )
            memory = units.amount(limits.bandwidth, "B/s")
            rate, takes = units.amount(limits.eager_bytes_per_s, "B/s"), predicted.library_s
            rate += (
                f" of this processor's math library, PyTorch's code for matrix products (its memory delivers "
                f"{memory}; other thread counts may come closer)"
            )
        case "compute":
            least = "at least " if _latent(machine) or _sparse(machine) else ""
            what = f"{step} does {least}{units.amount(predicted.flops / steps, 'FLOP')}"
            rate, takes = units.amount(limits.matmul_flops_per_s, "FLOP/s"), predicted.compute_s
        case "launch":
            what = f"{step} issues {units.count(round(predicted.launches / steps), 'operation')}"
            rate, takes = f"{units.seconds(limits.launch_s)} each", predicted.launch_s
    return f"{what}, which at the measured {rate} takes at least {units.seconds(takes / steps)}"


def cell_reason(baseline: tuple[str, Bound | None], lane: tuple[str, Bound | None], speedup: float | None) -> str:
    """Say why a lane gained what it gained over the baseline, at one prompt length and token count, prefill included.

    Without a `speedup` their runs overlap, and no gain is claimed. A bound of None is one that cannot be said.
    """
    (baseline_name, before), (name, now) = baseline, lane
    gain = "Their runs overlap: the two cannot be told apart"
    if speedup is not None:
        gain = f"{name} is {statistics.figures(speedup)[0]}× as fast"
    if before is None or now is None:
        unknown = " and ".join(name for name, bound in (baseline, lane) if bound is None)
        return f"What binds {unknown} cannot be said: a limit of the device was measured too low. {gain}."
    if before != now:
        why = ": the positions that are not run again are what is saved" if before == "compute" else ""
        return f"{baseline_name} is bound by {BOUNDS[before]}, {name} by {BOUNDS[now]}{why}. {gain}."
    why = {
        "launch": "the host cannot launch operations any faster, however little each has to do",
        "library": "its products of one row read the weights slower than the memory delivers them",
        "bandwidth": "each step reads the weights once, and the positions run again ride along with them",
        "compute": "what counts is how many positions each runs",
    }[now]
    return f"Both are bound by {BOUNDS[now]}: {why}. {gain}."
