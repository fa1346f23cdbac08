"""Look at lanes that are over: prove why their texts part, and list what they show. The model may run for it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from copy import copy

from kvdemo.core.cancellation import CancelToken, why
from kvdemo.core.events import Divergence
from kvdemo.core.types import Schedule, TimedStep
from kvdemo.engine import first_time_cost
from kvdemo.engine.lane_history import LaneHistory
from kvdemo.engine.start_lane import describe_failure
from kvdemo.models.loaded import LoadedModel
from kvdemo.race.divergence import proof, reasons
from kvdemo.samplers import Rule
from kvdemo.strategies import longrope
from kvdemo.strategies.base import Strategy
from kvdemo.strategies.compatibility.scripted import Decode

log = logging.getLogger(__name__)


def proven(
    presumed: Divergence,
    model: LoadedModel,
    prompt_ids: Sequence[int],
    baseline: tuple[Strategy, LaneHistory],
    lane: tuple[Strategy, LaneHistory],
    rule: Rule,
    stop: CancelToken,
) -> Divergence:
    """Check what is presumed of a divergence of `lane` by running the text again.

    A proof that fails is reported in the divergence; the race's result stands.
    """
    records, end = (baseline[1], lane[1]), presumed.index + 1
    if not rule.by_temperature_and_top_p:
        names = ", ".join(sampler.name for sampler in rule.samplers)
        return reasons.unchecked(presumed, f"the proof knows temperature and top-p, and not {names}")
    sides = records[0].choices[:end], records[1].choices[:end]
    again = steps_in_wider_format(baseline[0]), steps_in_wider_format(lane[0])
    try:
        evidence = proof.examine(model, prompt_ids, sides, again, rule, stop)
    except proof.Stopped:
        return reasons.unchecked(presumed, "the race was stopped")
    except Exception as error:
        log.debug("the divergence of %s could not be checked", records[1].info.strategy, exc_info=True)
        return reasons.unchecked(presumed, f"running the text again failed ({describe_failure(error).rstrip('.')})")
    return reasons.proven(presumed, *records, evidence, model.piece)


def steps_in_wider_format(strategy: Strategy) -> Decode | None:
    """Return what runs a strategy's steps again in another number format; None for one that recomputes all anyway."""
    return copy(strategy).decode if strategy.eager and not strategy.recomputes else None


def remarks(
    model: LoadedModel, prompt_ids: Sequence[int], strategy: Strategy, record: LaneHistory, stop: CancelToken
) -> list[str]:
    """List what is remarked on a lane's run. An exception becomes a remark; the race's result stands."""
    found: list[str] = []
    if record.steps:
        try:
            found += remarks_on(strategy, record.steps)
            found += strategy.post_race_check(model, prompt_ids, record.steps, stop)
        except Exception as error:
            log.debug("%s could not be looked at again", strategy.spec, exc_info=True)
            found.append(f"{record.info.name} could not be looked at again: {describe_failure(error)}")
    if (sentence := why(stop)) and record.ended and record.ended.reason == "stopped":
        found.append(f"{record.info.name} {sentence}")
    return found


def remarks_on(strategy: Strategy, steps: Sequence[TimedStep]) -> list[str]:
    """List what a run shows: the steps that ran the text again, then the strategy's own remarks."""
    return longrope.remarks(strategy.info.name, steps) + strategy.remarks(steps)


def first_use(schedule: Schedule, record: LaneHistory, warmed: int) -> list[str]:
    """Say what new lengths cost a lane. Nothing where lanes slow each other down, because it cannot be told."""
    if schedule != "fair" or record.info.elsewhere:
        return []
    found = first_time_cost.in_race(record.steps, warmed)
    return [first_time_cost.race_sentence(record.info.name, found)] if found else []
