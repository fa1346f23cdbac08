"""What a text is like: the same cases as in the browser (tests/frontend/text_figures.test.mjs)."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvdemo.core.figures.metrics import lane_metrics
from kvdemo.core.figures.text_metrics import distinct_2, mean_logprob, perplexity, repeated_4gram
from kvdemo.core.types import Choice, Step, TimedStep
from tests.cases import cases


@pytest.mark.parametrize("case", cases("text_figures"), ids=lambda case: case["says"])
def test_text_figures_are_computed_as_in_javascript(case: dict[str, Any]) -> None:
    choices = [Choice(token, math.nan if p is None else p, 0, -9.0) for token, p in case["tokens"]]
    got = lane_metrics([TimedStep(Step((choice,), 1), 0.1) for choice in choices])
    assert {name: getattr(got, name) for name in case["figures"]} == pytest.approx(case["figures"])


def test_a_token_of_probability_0_leaves_the_mean_undefined() -> None:
    assert mean_logprob([-1.0, -math.inf]) is None and perplexity([-math.inf]) is None
    assert perplexity([-800.0]) is None  # exp(800) is more than a float holds


@given(st.lists(st.integers(0, 4), min_size=4, max_size=60))
def test_shares_lie_between_0_and_1_and_a_doubled_text_repeats(tokens: list[int]) -> None:
    different, repeated = distinct_2(tokens), repeated_4gram(tokens)
    assert different is not None and 0 < different <= 1
    assert repeated is not None and 0 <= repeated < 1
    assert (repeated_4gram(tokens * 2) or 0) > 0
