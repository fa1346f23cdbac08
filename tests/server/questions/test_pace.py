"""What a visitor asks beside somebody's run takes a small part of the time, however often he asks."""

from __future__ import annotations

import pytest

from kvdemo.server.questions.pace import REST, Pace


class Time:
    """A clock that sleeping and working move on."""

    def __init__(self) -> None:
        self.now = self.slept = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


def work(pace: Pace, time: Time, seconds: float, times: int) -> None:
    for _ in range(times):
        with pace.taken():
            time.now += seconds


def test_questions_in_a_loop_leave_a_run_almost_all_of_the_time() -> None:
    time = Time()
    work(Pace(lambda: True, lambda: time.now, time.sleep), time, 0.5, times=11)
    assert time.slept == pytest.approx(10 * REST * 0.5)


def test_the_first_question_beside_a_run_does_not_wait() -> None:
    time = Time()
    work(Pace(lambda: True, lambda: time.now, time.sleep), time, 0.5, times=1)
    assert time.slept == 0


def test_no_question_waits_where_nothing_runs_or_the_run_has_ended() -> None:
    time = Time()
    pace = Pace(lambda: time.now < 2, lambda: time.now, time.sleep)
    work(pace, time, 0.5, times=9)
    assert time.slept == pytest.approx(1.5)


def test_work_that_fails_is_followed_by_its_rest() -> None:
    time = Time()
    pace = Pace(lambda: True, lambda: time.now, time.sleep)
    with pytest.raises(ValueError, match="odd"), pace.taken():
        time.now += 1
        raise ValueError("odd")
    work(pace, time, 0.5, times=1)
    assert time.slept == pytest.approx(REST)
