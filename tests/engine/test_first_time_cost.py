import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvdemo.core.types import Choice, Step, TimedStep
from kvdemo.engine import first_time_cost

WARMED = 5
PLAN = 0.040


def lane(seconds: Callable[[int], float], *, steps: int = 20, prompt: int = 30, whole: bool = False) -> list[TimedStep]:
    """Timed steps: the prefill, then one for each length; `whole` runs the whole text in each of them."""
    choice = Choice(1, 0.0, 2, -1.0)
    return [
        TimedStep(Step((choice,), positions=prompt + n if whole or n == 0 else 1), seconds(n)) for n in range(steps)
    ]


def noise(rng: random.Random, share: float = 0.1) -> float:
    return rng.uniform(1 - share, 1 + share)


def test_the_cost_of_each_new_length_is_found() -> None:
    rng = random.Random(1)
    found = first_time_cost.in_race(lane(lambda n: 0.018 * noise(rng) + (PLAN if n >= WARMED else 0)), WARMED)
    assert found is not None
    assert found.extra_s == pytest.approx(PLAN, rel=0.1)
    sentence = first_time_cost.race_sentence("DynamicCache", found)
    assert sentence.startswith("DynamicCache: a step at a new length took 5")
    assert "of each step is first-time cost" in sentence


def test_the_cost_of_each_new_length_is_found_in_a_loop_without_cache() -> None:
    found = first_time_cost.in_race(lane(lambda n: 0.015 + n * 1e-5 + (PLAN if n >= WARMED else 0), whole=True), WARMED)
    assert found is not None


@given(st.integers(0, 10**6), st.floats(0, 0.5))
def test_noise_alone_is_rarely_reported_as_a_cost(seed: int, share: float) -> None:
    rng = random.Random(seed)
    lanes = [lane(lambda _: 0.018 * noise(rng, share)) for _ in range(20)]
    assert sum(first_time_cost.in_race(steps, WARMED) is not None for steps in lanes) <= 1


@given(prompt=st.integers(1, 500), fixed=st.floats(0, 1), each=st.floats(0.001, 1))
def test_growing_steps_of_a_lane_without_cache_are_not_reported(prompt: int, fixed: float, each: float) -> None:
    steps = lane(lambda n: fixed + each * (prompt + n), prompt=prompt, whole=True)
    assert first_time_cost.in_race(steps, WARMED) is None


def drafting(positions: list[int], seconds: Callable[[int], float]) -> list[TimedStep]:
    """Timed steps that run so many positions; `seconds` are by a step's number."""
    return [TimedStep(replace(timed.step, positions=ran), timed.seconds)
            for timed, ran in zip(lane(seconds, steps=len(positions)), positions, strict=True)]  # fmt: skip


def test_equal_steps_over_fewer_and_fewer_positions_are_not_reported() -> None:
    """A draft grows shorter toward the end of a text, where fewer tokens are left to write."""
    assert first_time_cost.in_race(drafting([4, 7, 7, 7, 6, 5, 4, 3, 2, 1], lambda _: 0.001), WARMED) is None


@given(st.lists(st.integers(1, 50), min_size=9, max_size=30), st.floats(0, 1), st.floats(0.001, 1))
def test_steps_over_any_positions_are_not_reported_for_what_positions_cost(
    positions: list[int], fixed: float, each: float
) -> None:
    steps = drafting(positions, lambda n: fixed + each * positions[n])
    assert first_time_cost.in_race(steps, WARMED) is None


def test_the_cost_of_each_new_length_is_found_in_a_lane_with_drafts() -> None:
    positions = [30, 5, 4, 5, 5, 5, 3, 5, 4, 5, 5, 2]
    found = first_time_cost.in_race(drafting(positions, lambda n: 0.018 + (PLAN if n >= WARMED else 0)), WARMED)
    assert found is not None
    assert found.extra_s == pytest.approx(PLAN, rel=0.2)


@pytest.mark.parametrize("slow", [0, 2, WARMED, WARMED + 3])
def test_one_slow_step_is_not_reported_at_any_place(slow: int) -> None:
    assert first_time_cost.in_race(lane(lambda n: 5.0 if n == slow else 0.018 + n * 1e-6), WARMED) is None


def test_too_few_steps_on_either_side_report_nothing() -> None:
    def planned(steps: int, warmed: int) -> first_time_cost.FirstUse | None:
        return first_time_cost.in_race(lane(lambda n: 1.0 if n >= warmed else 0.1, steps=steps), warmed)

    assert planned(steps=9, warmed=5)
    assert planned(steps=8, warmed=5) is None
    assert planned(steps=20, warmed=4) is None
    assert planned(steps=0, warmed=5) is None


def test_the_cost_of_new_lengths_in_a_warm_up_run_is_found() -> None:
    again = lane(lambda n: 0.018 + n * 1e-6)
    found = first_time_cost.between_runs(lane(lambda n: 0.018 + n * 1e-6 + PLAN), again)
    assert found is not None
    assert found.extra_s == pytest.approx(PLAN)
    assert "the first time costs 40" in first_time_cost.warmup_sentence("DynamicCache", found)


@pytest.mark.parametrize("drift", [0.67, 1.0, 1.49])
def test_drift_between_two_runs_is_not_reported(drift: float) -> None:
    again = lane(lambda _: 0.018)
    assert first_time_cost.between_runs(lane(lambda _: 0.018 * drift), again) is None


def test_a_slow_prefill_of_the_warm_up_is_not_reported() -> None:
    assert first_time_cost.between_runs(lane(lambda n: 9.0 if n < 2 else 0.018), lane(lambda _: 0.018)) is None
    assert first_time_cost.between_runs(lane(lambda _: 1.0, steps=3), lane(lambda _: 0.1, steps=3)) is None
