"""Check, before anything runs, that a measurement can run on a model: its strategies, its prompts, the memory."""

from __future__ import annotations

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.measure.sweep_prompt import prompt_of_length
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.text.codec import Prompt
from kvdemo.race import memory_limit
from kvdemo.race.check import check_race
from kvdemo.strategies.base import Strategy


def check_measurement(request: MeasureRequest, model: LoadedModel) -> tuple[list[Strategy], Prompt]:
    """Return the strategies and the prompt of a measurement. Raises BadInput for one that cannot run on this model."""
    chosen, prompt = check_race(request.race, model, together=False)
    if far := [strategy.name for strategy in chosen if strategy.elsewhere]:
        raise BadInput(f"{far[0]} runs on another machine, and this measures the one here: race it instead.")
    if model.spread:
        raise BadInput(
            f"{model.id} is spread over several devices, and what limits a step is measured of one: race it instead."
        )
    if request.sweep_prompt and (context := model.context_length) is not None:
        longest = max(request.sweep_prompt) + max(request.sweep_tokens)
        if longest > context:
            raise BadInput(
                f"The sweep's longest prompt and its most new tokens are {longest:,} together and exceed the "
                f"{context:,} that {model.id} can hold: make one of them shorter."
            )
    for strategy in chosen:
        memory_limit.check_lane(strategy, model, len(model.encode(prompt)), request.race.max_new_tokens)
        if request.sweep_prompt:
            memory_limit.check_lane(strategy, model, max(request.sweep_prompt), max(request.sweep_tokens))
    for length in request.sweep_prompt:
        # What cannot be made is refused now, not half an hour later.
        prompt_of_length(model, request.race.prompt, length)
    return chosen, prompt
