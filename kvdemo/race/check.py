"""Check, before anything runs, that a race can run on a model: its strategies, its prompt, the context, the memory."""

from __future__ import annotations

from dataclasses import dataclass

from kvdemo import strategies
from kvdemo.core.errors import BadInput
from kvdemo.core.settings.race import RaceRequest
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.text.codec import Prompt
from kvdemo.race import memory_limit
from kvdemo.strategies.base import Strategy


@dataclass(frozen=True)
class Fit:
    """How a prompt fits a model: `max_new_tokens` is what the context leaves, None without a limit."""

    prompt_tokens: int
    context_length: int | None

    @property
    def max_new_tokens(self) -> int | None:
        return None if self.context_length is None else max(0, self.context_length - self.prompt_tokens)


def fit(model: LoadedModel, prompt: Prompt) -> Fit:
    """Count the prompt's tokens against the model's context."""
    return Fit(len(model.encode(prompt)), model.context_length)


def _check_fit(model: LoadedModel, prompt: Prompt, max_new_tokens: int) -> None:
    """Raise BadInput, with the largest count that fits, where prompt and new tokens exceed the context."""
    room = fit(model, prompt)
    left = room.max_new_tokens
    if left is None or max_new_tokens <= left:
        return
    need = (
        f"{room.prompt_tokens:,} prompt tokens and {max_new_tokens:,} new ones "
        f"exceed the {room.context_length:,} that {model.id} can hold"
    )
    if left < 1:
        over = room.prompt_tokens - (room.context_length or 0) + 1
        raise BadInput(f"{need}: shorten the prompt by at least {over:,} tokens.")
    raise BadInput(f"{need}: ask for at most {left:,} new tokens.", max_new_tokens=left)


def check_race(request: RaceRequest, model: LoadedModel, *, together: bool = True) -> tuple[list[Strategy], Prompt]:
    """Return the strategies and the prompt of a race. Raises BadInput for a race that cannot run on this model.

    `together`: the lanes hold their keys and values at the same time, which must fit into memory.
    """
    chosen = [available_strategy(strategy_id, model) for strategy_id in request.strategies]
    prompt = model.prompt(request.prompt, chat=request.chat)
    _check_fit(model, prompt, request.max_new_tokens)
    if together:
        memory_limit.check_race(chosen, model, len(model.encode(prompt)), request.max_new_tokens, request.schedule)
    model.text_of(model.encode(prompt)[-1:])  # a tokenizer that writes no text is refused now, not in the race
    return chosen, prompt


def available_strategy(strategy_id: str, model: LoadedModel) -> Strategy:
    """Return the strategy that a spec names. Raises BadInput where it cannot run on this model."""
    strategy = strategies.get(strategy_id)
    if reason := strategy.unavailable_reason(model):
        raise BadInput(f"{strategy.name} cannot run here: {reason}")
    return strategy
