from dataclasses import replace
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvdemo.core.figures.metrics import (
    first_difference,
    lane_metrics,
    percentile,
    positions_to_token,
    seconds_to_token,
    speedup,
    token_gaps,
)
from kvdemo.core.types import BeamNode, TimedStep
from tests.cases import cases
from tests.scripted import search, step, time_steps

SECONDS = st.floats(1e-6, 1e3)


def test_lane_figures_agree_with_a_calculation_by_hand() -> None:
    # prefill 0.5 s; then 0.1, 0.3 and 0.2 s: e2e 1.1 s, TPOT (1.1 - 0.5) / 3 = 0.2 s
    steps = [
        TimedStep(step(1, positions=7), 0.5, 0.01),
        TimedStep(step(2, positions=1), 0.1),
        TimedStep(step(3, positions=1), 0.3, 0.02),
        TimedStep(step(4, positions=1), 0.2),
    ]
    got = lane_metrics(steps)
    assert got.tokens == 4
    assert got.ttft_s == 0.5
    assert got.tpot_s == pytest.approx(0.2)
    assert got.e2e_s == pytest.approx(1.1)
    assert got.tokens_per_s == pytest.approx(4 / 1.1)
    assert got.tokenize_s == pytest.approx(0.03)
    assert got.positions == 10
    assert got.itl_s is not None
    assert got.itl_s.mean == pytest.approx(0.2)
    assert got.itl_s.p50 == pytest.approx(0.2)
    assert got.itl_s.p90 == pytest.approx(0.28)  # rank 1.8 of (0.1, 0.2, 0.3): 0.2 + 0.8 · 0.1
    assert got.itl_s.p99 is None
    assert got.itl_s.max == 0.3


def test_a_step_of_k_tokens_counts_k_inter_token_gaps() -> None:
    steps = [TimedStep(step(1), 1.0), TimedStep(step(2, 3, 4), 0.6), TimedStep(step(5), 0.1)]
    assert token_gaps(steps) == pytest.approx([0.2, 0.2, 0.2, 0.1])
    assert lane_metrics(steps).tpot_s == pytest.approx(0.7 / 4)


def test_figures_undefined_for_one_token_or_none_are_none() -> None:
    one = lane_metrics(list(time_steps([0.5])))
    assert (one.ttft_s, one.tpot_s, one.itl_s, one.tokens_per_s) == (0.5, None, None, 2.0)
    none = lane_metrics([])
    assert (none.ttft_s, none.tpot_s, none.e2e_s, none.tokens_per_s, none.tokens) == (None, None, 0, None, 0)


def test_p99_needs_a_hundred_gaps() -> None:
    few, enough = (lane_metrics(list(time_steps([0.1] * n))).itl_s for n in (100, 101))
    assert few is not None and few.p99 is None
    assert enough is not None and enough.p99 == pytest.approx(0.1)


@given(st.lists(SECONDS, min_size=1, max_size=300), st.floats(0, 100))
def test_percentile_agrees_with_numpy(samples: list[float], q: float) -> None:
    assert percentile(samples, q) == pytest.approx(float(numpy.percentile(samples, q)), rel=1e-9)


@given(st.lists(SECONDS, min_size=2, max_size=60))
def test_ttft_and_tpot_add_up_to_e2e(costs: list[float]) -> None:
    got = lane_metrics(list(time_steps(costs)))
    assert got.ttft_s is not None and got.tpot_s is not None
    assert got.ttft_s + got.tpot_s * (got.tokens - 1) == pytest.approx(got.e2e_s)


def test_speedup_compares_at_the_smaller_token_count() -> None:
    slow, fast = list(time_steps([2.0, 2.0])), list(time_steps([1.0, 0.5, 0.5, 50.0]))
    assert speedup(slow, fast) == pytest.approx(4.0 / 1.5)
    assert speedup(fast, slow) == pytest.approx(1.5 / 4.0)
    assert speedup(slow, []) is None


def test_seconds_and_positions_to_a_token_inside_a_step_are_those_of_the_whole_step() -> None:
    steps = [TimedStep(step(1, positions=7), 1.0), TimedStep(step(2, 3, positions=4), 0.5)]
    assert [seconds_to_token(steps, n) for n in (1, 2, 3)] == [1.0, 1.5, 1.5]
    assert [positions_to_token(steps, n) for n in (1, 2, 3)] == [7, 11, 11]
    with pytest.raises(ValueError, match="fewer than 4"):
        seconds_to_token(steps, 4)


@given(st.lists(st.integers(0, 3)), st.lists(st.integers(0, 3)))
def test_first_difference_is_the_length_of_the_common_prefix(a: list[int], b: list[int]) -> None:
    at = first_difference(a, b)
    if at is None:
        shared = min(len(a), len(b))
        assert a[:shared] == b[:shared]
    else:
        assert a[:at] == b[:at]
        assert a[at] != b[at]


def test_a_search_has_levels_in_place_of_ttft_and_tpot() -> None:
    """Its first token comes when all texts agree on it, and the others in any number with it."""
    got = lane_metrics(search("Beams", (2.0, 1), (6.0, 3)).steps)
    assert (got.ttft_s, got.tpot_s, got.itl_s) == (None, None, None)
    assert (got.levels, got.level_s, got.e2e_s, got.tokens_per_s) == (4, 2.0, 8.0, 0.5)
    stream = lane_metrics(list(time_steps([0.5, 0.5])))
    assert (stream.levels, stream.level_s) == (None, None)


def test_tokens_that_all_come_in_one_step_have_no_time_between_them() -> None:
    got = lane_metrics([TimedStep(step(1, 2, 3), 0.6)])
    assert (got.ttft_s, got.tpot_s, got.itl_s) == (0.6, None, None)


def test_a_speedup_compares_the_same_work() -> None:
    stream, whole = list(time_steps([1.0] * 4)), search("Beams", (2.0, 4)).steps
    assert speedup(stream, whole) == 2.0
    assert speedup(stream[:3], whole) is speedup(whole, stream[:3]) is None  # a search has no time of its third token
    assert speedup(stream, stream[:1]) is None  # it ended after the prompt
    assert speedup(stream[:1], stream[:1]) == 1.0
    still = list(time_steps([0.0] * 4))
    assert speedup(still, stream) is speedup(stream, still) is None


def steps_of(steps: list[list[float]]) -> list[TimedStep]:
    """Steps from [seconds, tokens, levels of a search]."""
    kept = ((BeamNode(0, 1, -0.5, -0.5),),)
    return [
        TimedStep(replace(step(*range(int(tokens))), levels=kept * int(levels[0]) if levels else ()), seconds)
        for seconds, tokens, *levels in steps
    ]


@pytest.mark.parametrize("case", cases("lane_figures"), ids=lambda case: case["says"])
def test_live_figures_are_computed_as_in_javascript(case: dict[str, Any]) -> None:
    lanes = [steps_of(lane["steps"]) for lane in case["lanes"]]
    for steps, lane in zip(lanes, case["lanes"], strict=True):
        got = lane_metrics(steps)
        figures = {"seconds": got.e2e_s, "ttft": got.ttft_s, "tpot": got.tpot_s, "rate": got.tokens_per_s}
        assert figures | {"level": got.level_s} == pytest.approx(lane["figures"])
    assert speedup(*lanes) == pytest.approx(case["speedup"])
