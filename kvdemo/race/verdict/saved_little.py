"""Find why a lane that keeps a cache saved little time by it, or none.

A reason is given only where it carries the difference between the times (`carrier`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from kvdemo.core.figures.metrics import (
    SAME,
    lane_metrics,
    positions_to_token,
    searched,
    seconds_to_token,
    steps_to_token,
)
from kvdemo.core.types import TimedStep
from kvdemo.engine.lane_history import LaneHistory
from kvdemo.race.verdict.carrier import carrier, odd_step, usual_seconds
from kvdemo.race.verdict.found import Entry, Found

#: A cache that gains less than this leaves the question why; the verdict answers it.
SMALL_GAIN = 2.0
#: The step over the prompt is the reason where the tokens after it alone gained so many times as much.
NOTABLY = 1.25


def why(baseline: LaneHistory, entry: Entry) -> Found | None:
    """Find why a lane that keeps a cache saved no time by it, or little; None where it did, or where there is no cache.

    Also None for a search: it does other work, and more of it. For a lane whose only step is the prompt's. For one
    that saved no work, such as one of many rows. And where one of the two ran elsewhere, and its work is not known.
    """
    index, lane = entry
    shared = min(len(baseline.tokens), len(lane.tokens))
    if not _caches_alone(baseline, lane):
        return None
    if shared == 1:
        ran, its = (lane_metrics(one.steps).positions for one in (lane, baseline))
        same = len(baseline.tokens) == len(lane.tokens) and ran == its and not _drafted(lane)
        return Found("nothing_to_reuse", (index, 0), {"positions": ran}) if same else None
    return _of_steps(baseline, entry, shared) if _saved_work(baseline, lane, shared) else None


def _caches_alone(baseline: LaneHistory, lane: LaneHistory) -> bool:
    """Tell whether a lane keeps a cache and the baseline none, both of them here, and the lane is no search."""
    if lane.info.elsewhere or baseline.info.elsewhere or searched(lane.steps):
        return False
    return bool(lane.steps[-1].step.cache_bytes) and not baseline.steps[-1].step.cache_bytes


def _of_steps(baseline: LaneHistory, entry: Entry, tokens: int) -> Found | None:
    """Find why a lane that saved work saved little or no time by it, to so many tokens: from what its steps took.

    None where the steps do not account for the times, since one slow step or the prompt's does.
    """
    index, lane = entry
    mine, its = (steps_to_token(one.steps, tokens) for one in (lane, baseline))
    seconds, its_seconds = (seconds_to_token(one.steps, tokens) for one in (lane, baseline))
    if its_seconds >= seconds * SMALL_GAIN:
        return None
    costs = _step_costs(baseline, lane)
    if its_seconds > seconds * SAME:
        numbers = _small_gain(mine, its, costs, tokens)
        return Found("small_gain", (index, 0), numbers) if numbers else None
    shown = _steps_took_it(mine, its, costs) if seconds > its_seconds * SAME else _steps_were_equal(mine, its)
    return Found("no_time_saved", (index, 0), costs) if shown else None


def _small_gain(
    mine: Sequence[TimedStep], its: Sequence[TimedStep], costs: dict[str, Any], tokens: int
) -> dict[str, Any]:
    """Give the numbers that show why a lane was sooner by so little; {} where its steps do not account for it."""
    if carrier(its, mine) != "steps" or costs["new_seconds"] >= costs["seconds"]:
        return {}  # it was not sooner because of its steps
    seconds, its_seconds = (seconds_to_token(steps, tokens) for steps in (mine, its))
    further, its_further = seconds - mine[0].seconds, its_seconds - its[0].seconds
    if its_further < further * max(SMALL_GAIN, NOTABLY * its_seconds / seconds):
        # What the baseline would have taken with the lane's usual steps: about what the lane took.
        with_these = its_seconds - usual_seconds(its) + usual_seconds(mine)
        return costs if seconds <= NOTABLY * with_these else {}
    # One slow step of the baseline makes its others look slow. And a prompt that each of several rows ran, or of which
    # a part was known before, is not one that both lanes need.
    if usual_seconds(its) < SMALL_GAIN * usual_seconds(mine) or mine[0].step.positions != its[0].step.positions:
        return {}
    return {
        "prompt_seconds": mine[0].seconds, "prompt_share": mine[0].seconds / seconds,
        "seconds": its_further / (tokens - 1), "new_seconds": further / (tokens - 1),
    }  # fmt: skip


def _steps_took_it(mine: Sequence[TimedStep], its: Sequence[TimedStep], costs: Mapping[str, Any]) -> bool:
    """Tell whether a slower lane was slower because each of its steps took longer."""
    return carrier(mine, its) == "steps" and bool(costs["new_seconds"] > costs["seconds"])


def _steps_were_equal(mine: Sequence[TimedStep], its: Sequence[TimedStep]) -> bool:
    """Tell whether two lanes took the same time because their steps did: no slow one evened it out."""
    usual, its_usual = usual_seconds(mine), usual_seconds(its)
    return max(usual, its_usual) <= SAME * min(usual, its_usual)


def _saved_work(baseline: LaneHistory, lane: LaneHistory, tokens: int) -> bool:
    """Tell whether a lane ran fewer positions than the baseline: to so many tokens, and in a step after the prompt.

    What a draft model ran is not among them. So a lane that has one is not known to have saved work.
    """
    if len(lane.steps) == 1 or _drafted(lane):
        return False
    costs = _step_costs(baseline, lane)
    in_all = [positions_to_token(one.steps, tokens) for one in (lane, baseline)]
    return costs["new_positions"] < costs["positions"] and in_all[0] < in_all[1]


def _drafted(lane: LaneHistory) -> bool:
    return any(ran.draft for timed in lane.steps for ran in timed.step.passes)


def _step_costs(baseline: LaneHistory, lane: LaneHistory) -> dict[str, Any]:
    """Take medians of positions and seconds: of the baseline's later steps, and of the lane's after the prompt.

    In the later half the baseline has the most positions to run again.
    """
    late, decoding = baseline.steps[len(baseline.steps) // 2 :], lane.steps[1:]
    positions, new = (round(median(timed.step.positions for timed in some)) for some in (late, decoding))
    seconds, new_seconds = (median(timed.seconds for timed in some) for some in (late, decoding))
    return {"positions": positions, "seconds": seconds, "new_positions": new, "new_seconds": new_seconds}


def in_short(found: Found | None) -> dict[str, Any]:
    """Give the reason for a small gain as a headline has it."""
    numbers = found.numbers if found else {}
    if "prompt_share" in numbers:
        return {"prompt_share": numbers["prompt_share"]}
    if not numbers.get("seconds"):
        return {}
    return {
        "step_share": numbers["new_seconds"] / numbers["seconds"],
        "step_positions": numbers["positions"],
        "new_positions": numbers["new_positions"],
    }


def one_step(baseline: LaneHistory, lane: LaneHistory, tokens: int) -> dict[str, Any]:
    """Name the one step for which a lane that saved work was slower, or the baseline was; {} where it was none."""
    if not (_caches_alone(baseline, lane) and tokens > 1 and _saved_work(baseline, lane, tokens)):
        return {}
    mine, its = (steps_to_token(one.steps, tokens) for one in (lane, baseline))
    seconds, its_seconds = (seconds_to_token(one.steps, tokens) for one in (lane, baseline))
    if its_seconds >= seconds * SMALL_GAIN or max(seconds, its_seconds) <= SAME * min(seconds, its_seconds):
        return {}
    longer, shorter = (mine, its) if seconds > its_seconds else (its, mine)
    part = carrier(longer, shorter)
    if part == "prompt":
        return {"first_step_s": mine[0].seconds, "baseline_first_step_s": its[0].seconds}
    if part == "odd_step" and (odd := odd_step(longer)):
        return {"odd_step": odd.number, "odd_step_s": odd.seconds, "usual_step_s": odd.usual_seconds}
    return {}
