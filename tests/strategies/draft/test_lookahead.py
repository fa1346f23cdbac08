"""Guesses of earlier passes change no token, and a text that repeats itself takes fewer passes than tokens."""

import random

import pytest

from kvdemo.strategies.draft.lookahead import Lookahead
from tests.strategies.conftest import generated, steps_of
from tests.strategies.layered import FULL, SLIDING, model_of
from tests.strategies.references import random_prompt

NEW = 32


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FULL, *SLIDING])
@pytest.mark.parametrize("draft_tokens", [1, 7])
def test_the_text_is_that_of_greedy_decoding(name: str, draft_tokens: int) -> None:
    model, rng = model_of(name), random.Random(name)
    for text in [random_prompt(rng) for _ in range(2)]:
        tokens: list[int] = []
        for step in steps_of(Lookahead(draft_tokens=draft_tokens), model, text, tokens=NEW):
            tokens += step.tokens
            if len(tokens) >= NEW:
                break
        assert tokens[:NEW] == generated(model, text, NEW)


def test_guesses_are_confirmed_so_that_there_are_fewer_passes_than_tokens() -> None:
    """A random model comes back to what it wrote, and what it wrote is what the guesses know."""
    model = model_of("llama")
    steps, tokens = 0, 0
    for step in steps_of(Lookahead(), model, "w3 w4 w5", tokens=120):
        steps, tokens = steps + 1, tokens + len(step.tokens)
        if tokens >= 120:
            break
    assert steps < 0.9 * tokens
