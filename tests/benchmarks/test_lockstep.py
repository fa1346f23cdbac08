from collections.abc import Generator

import numpy as np
import pytest

from benchmarks.tools import lockstep

Generated = Generator[float, None, None]


class Traced:
    """Loops whose steps and ends are written down in the order in which they happen."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int]] = []
        self.closed: list[str] = []

    def loop(self, name: str, fails_at: int | None = None) -> lockstep.Loop:
        def start() -> Generated:
            position = 0
            try:
                while position != fails_at:
                    self.steps.append((name, position))
                    yield float(position)
                    position += 1
                raise RuntimeError("no memory")
            finally:
                self.closed.append(name)

        return start


def test_each_position_is_taken_by_every_loop_before_the_next_one() -> None:
    traced = Traced()
    lockstep.take({name: traced.loop(name) for name in "abc"}, rounds=2, positions=5, skip=2)
    expected = [{(name, position) for name in "abc"} for _ in range(2) for position in range(7)]
    assert [set(traced.steps[n : n + 3]) for n in range(0, len(traced.steps), 3)] == expected


def test_the_order_within_a_position_changes() -> None:
    traced = Traced()
    lockstep.take({name: traced.loop(name) for name in "ab"}, rounds=10, positions=10, skip=0)
    first = [name for name, _ in traced.steps[::2]]
    assert 30 <= first.count("a") <= 70


def test_equal_places_hold_equal_positions_and_the_skipped_steps_are_left_out() -> None:
    traced = Traced()
    samples = lockstep.take({name: traced.loop(name) for name in "ab"}, rounds=3, positions=4, skip=2)
    for seconds in samples.values():
        np.testing.assert_array_equal(seconds, [[2, 3, 4, 5]] * 3)


def test_all_loops_are_closed_also_when_one_fails() -> None:
    traced = Traced()
    with pytest.raises(RuntimeError, match="no memory"):
        lockstep.take({"a": traced.loop("a"), "b": traced.loop("b", fails_at=3)}, rounds=2, positions=9)
    assert sorted(traced.closed) == ["a", "b"]


def noisy(rounds: int, seed: int, factor: float = 1.0, per_round: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Steps of two loops on a machine that drifts by 20 %; the second takes `factor` times as long as the first."""
    random = np.random.default_rng(seed)
    machine = np.exp(random.normal(0, 0.2, (rounds, 16)))
    noise = np.exp(random.normal(0, 0.02, (2, rounds, 16)))
    return machine * noise[0], factor * machine * noise[1] * np.exp(random.normal(0, per_round, (rounds, 1)))


def test_a_difference_of_one_percent_is_found_under_a_drift_of_twenty() -> None:
    first, second = noisy(rounds=24, seed=0, factor=1.01)
    found = lockstep.ratio(second, first)
    assert 1 < found.low <= found.value <= found.high < 1.02
    assert found.interval == (found.low, found.high)


@pytest.mark.slow
@pytest.mark.parametrize("per_round", [0.0, 0.02])
def test_the_interval_holds_the_true_ratio_as_often_as_it_claims(per_round: float) -> None:
    """Drawing single pairs would hold it in 62 % of the cases where the rounds differ among themselves."""
    held = 0
    for seed in range(100):
        first, second = noisy(rounds=12, seed=seed, per_round=per_round)
        found = lockstep.ratio(second, first, seed)
        held += found.low <= 1 <= found.high
    assert held >= 85


def test_equal_seeds_give_equal_intervals() -> None:
    first, second = noisy(rounds=8, seed=0)
    assert lockstep.ratio(second, first, 1) == lockstep.ratio(second, first, 1)
    assert lockstep.ratio(second, first, 1) != lockstep.ratio(second, first, 2)


def test_too_few_rounds_give_no_interval() -> None:
    with pytest.raises(ValueError, match="at least 8"):
        lockstep.ratio(*noisy(rounds=7, seed=0))


def test_whole_runs_are_paired_by_round() -> None:
    seconds = iter([3.0, 5.0, 7.0])
    taken = lockstep.take({"run": lockstep.repeated(lambda: next(seconds))}, rounds=3, positions=1, skip=0)
    np.testing.assert_array_equal(taken["run"], [[3], [5], [7]])
