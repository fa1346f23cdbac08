"""Check what was presumed of a divergence by running the text again. The race is over by then; its result stands."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from copy import copy

from kvdemo.core.cancellation import CancelToken
from kvdemo.core.events import Divergence
from kvdemo.engine.lane_history import LaneHistory
from kvdemo.engine.start_lane import describe_failure
from kvdemo.models.loaded import LoadedModel
from kvdemo.race.divergence import proof, reasons
from kvdemo.samplers import Rule
from kvdemo.strategies.base import Strategy
from kvdemo.strategies.compatibility.scripted_lane import Decode

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
