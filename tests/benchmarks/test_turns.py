import threading

import pytest

from benchmarks.tools.turns import Turns, steps_of


class Counting:
    """A run that counts its steps; it ends after `most`, if given, or breaks off at `fails_at`."""

    def __init__(self, most: int = 1000, fails_at: int | None = None, warm_up: int = 0) -> None:
        self.most, self.fails_at, self.warm_up = most, fails_at, warm_up
        self.taken = 0
        self.ended = False

    def __call__(self, turns: Turns) -> None:
        for _ in range(self.warm_up):
            assert not turns.is_set()
        turns.begin()
        while self.taken < self.most and not turns.is_set():
            if self.taken == self.fails_at:
                raise ValueError("no memory")
            self.taken += 1
            turns.seconds = float(self.taken)
        self.ended = True


def test_a_run_takes_one_step_per_turn() -> None:
    run = Counting(warm_up=3)
    steps = steps_of(run)
    assert run.taken == 0
    for expected in (1, 2, 3):
        assert next(steps) == expected
        assert run.taken == expected
    steps.close()
    assert run.ended


def test_closing_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    steps = steps_of(Counting())
    next(steps)
    assert threading.active_count() == before + 1
    steps.close()
    assert threading.active_count() == before


def test_an_error_in_a_run_is_raised_at_its_turn() -> None:
    steps = steps_of(Counting(fails_at=1))
    next(steps)
    with pytest.raises(ValueError, match="no memory"):
        next(steps)


def test_a_run_that_ends_too_early_is_an_error() -> None:
    steps = steps_of(Counting(most=2))
    next(steps)
    with pytest.raises(RuntimeError, match="ended before"):
        next(steps), next(steps)
