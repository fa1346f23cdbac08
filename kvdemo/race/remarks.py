"""List what lanes that are over show. The model may run for it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from kvdemo.core.cancellation import CancelToken, why
from kvdemo.core.types import Schedule, TimedStep
from kvdemo.costs import unused_windows
from kvdemo.engine import first_time_cost
from kvdemo.engine.lane_history import LaneHistory
from kvdemo.engine.start_lane import describe_failure
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import fitting_cache
from kvdemo.strategies import longrope
from kvdemo.strategies.base import Strategy

log = logging.getLogger(__name__)

# What changes the scores of tokens in generate(), where a model's generation config has it, and what changes nothing.
_GENERATE_APPLIES = {"repetition_penalty": 1, "guidance_scale": 1} | dict.fromkeys((
    "no_repeat_ngram_size", "bad_words_ids", "sequence_bias", "suppress_tokens", "begin_suppress_tokens", "min_length",
    "min_new_tokens", "forced_bos_token_id", "forced_eos_token_id",
))  # fmt: skip


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


def not_applied(model: LoadedModel) -> list[str]:
    """Name the settings of the model's files that generate() applies by itself, and a lane only where it is told to."""
    settings = model.network.generation_config
    found = [
        name
        for name, neutral in _GENERATE_APPLIES.items()
        if (value := getattr(settings, name, None)) and value != neutral
    ]
    if not found:
        return []
    return [
        f"generate() would also apply {' and '.join(found)} of {model.id}'s generation_config.json, which no lane does "
        "unless its own settings say so: it may write another text."
    ]


def unused_windows_of(model: LoadedModel) -> list[str]:
    """Say that generate() writes a wrong text where the configuration states a window that the code does not use."""
    stated = fitting_cache.stated_windows(model.network).unused
    layers = len(fitting_cache.dynamic_cache(model.network).layers)
    return [unused_windows.sentence(model.id, list(stated.values()), layers)] if stated else []


def remarks_on(strategy: Strategy, steps: Sequence[TimedStep]) -> list[str]:
    """List what a run shows: the steps that ran the text again, then the strategy's own remarks."""
    return longrope.remarks(strategy.info.name, steps) + strategy.remarks(steps)


def first_use(schedule: Schedule, record: LaneHistory, warmed: int) -> list[str]:
    """Say what new lengths cost a lane. Nothing where lanes slow each other down, because it cannot be told."""
    if schedule != "fair" or record.info.elsewhere:
        return []
    found = first_time_cost.in_race(record.steps, warmed)
    return [first_time_cost.race_sentence(record.info.name, found)] if found else []
