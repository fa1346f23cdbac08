"""Write why a cache gained little time, or none: the prompt's share, the fixed costs of a step, or one slow step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kvdemo.core.figures import units
from kvdemo.race.verdict.found import Found


def because(found: Found, names: Sequence[str]) -> str:
    """Write why a lane was slower, or gained little, as a clause after the times; nothing if no reason is known."""
    n, (name, other) = found.numbers, (names[lane] for lane in found.lanes)
    if "first_step_s" in n:
        mine, its = units.seconds(n["first_step_s"]), units.seconds(n["baseline_first_step_s"])
        return f", because the step over the prompt took {mine} in {name} and {its} in {other}"
    if "odd_step" in n:
        whose = name if found.kind == "slower" else other
        odd, usual = units.seconds(n["odd_step_s"]), units.seconds(n["usual_step_s"])
        rest = f"the median of its other later steps is {usual}"
        return f", because step {n['odd_step']:,} of {whose} alone took {odd}; {rest}"
    no_more = "; it gained no more" if found.kind == "faster" else ""
    if "prompt_share" in n:
        share = _percent(n["prompt_share"])
        return f"{no_more}, because the step over the prompt, which both lanes need, was {share} of {name}'s time"
    if "step_share" not in n:
        return ""
    share, positions = _percent(n["step_share"]), n["step_positions"]
    return f"{no_more}, because a step over {_new(n)} took {share} of the time of one over {positions:,}"


def no_time_saved(found: Found, _: Sequence[str]) -> str:
    """Write that less work took no less time, with what a step over many positions and one over few took."""
    return (
        f"Saved work was not saved time: {_step_costs(found.numbers)} At this length a step's fixed costs, such as "
        "launching kernels and reading the weights, outweigh the positions that the cache saves."
    )


def small_gain(found: Found, names: Sequence[str]) -> str:
    """Write what made the gain small: the step over the prompt, else what a step costs for any number of positions."""
    n = found.numbers
    if "prompt_share" in n:
        name, other = (names[lane] for lane in found.lanes)
        return (
            f"After the prompt, which took {name} {units.seconds(n['prompt_seconds'])}, a token took "
            f"{units.seconds(n['new_seconds'])}, and {units.seconds(n['seconds'])} in {other}: with more new tokens "
            "the gain grows."
        )
    return (
        f"Much of a step is a fixed cost: {_step_costs(n)} Launching kernels and reading the weights cost a step "
        "the same for any number of positions. The faster the device and the shorter the text, the more of a step they "
        "are, and the less a cache can save."
    )


def _step_costs(n: Mapping[str, Any]) -> str:
    return (
        f"a step over {n['positions']} positions took {units.seconds(n['seconds'])} here, and one over {_new(n)} "
        f"{units.seconds(n['new_seconds'])}."
    )


def _new(numbers: Mapping[str, Any]) -> str:
    new = numbers["new_positions"]
    return "a single new position" if new == 1 else f"{new:,} new positions"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
