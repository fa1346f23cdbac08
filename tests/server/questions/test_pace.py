"""What a visitor asks beside somebody's run takes a small part of the time, however often he asks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvdemo.core.errors import AGAIN_SECONDS
from kvdemo.server.questions.pace import MISSED_LOOKS, MOST, REST, Pace


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


def ask(pace: Pace, time: Time, address: str, seconds: float = 0.5) -> bool:
    """Ask once, and work if the turn has come."""
    with pace.taken(address, waits=False) as came:
        if came:
            time.now += seconds
        return came


def test_who_does_not_wait_is_told_at_once_while_the_last_work_rests_or_goes_on() -> None:
    time = Time()
    pace = Pace(lambda: True, lambda: time.now, time.sleep)
    assert ask(pace, time, "a")
    assert not ask(pace, time, "b")
    time.now += REST * 0.5
    with pace.taken("b", waits=False) as came:
        assert came
        assert not ask(pace, time, "c")
    assert time.slept == 0


@given(st.integers(1, 5), st.integers(1, 40), st.sampled_from([0.05, 0.2, 0.5]))
def test_an_address_waits_for_one_piece_of_work_of_each_other_address(others: int, each: int, seconds: float) -> None:
    """However many questions another address has open, and however often it puts them."""
    time = Time()
    pace = Pace(lambda: True, lambda: time.now, time.sleep)
    for n in range(others):
        for _ in range(each):
            ask(pace, time, f"other {n}", seconds)
    served: list[str] = []
    for moment in range(10_000):
        time.now += 0.1
        for n in range(others):
            for _ in range(each):
                if ask(pace, time, f"other {n}", seconds):
                    served.append(f"other {n}")
        if moment % round(10 * AGAIN_SECONDS) == 0 and ask(pace, time, "mine", seconds):
            break
    else:
        raise AssertionError("never served")
    assert len(served) <= 2 * others  # until it first asked, and once each after that


def test_a_loop_of_one_address_does_not_keep_out_who_waits() -> None:
    """Also where nothing runs, so that there is no rest: threads take a lock in no order."""
    time = Time()
    pace = Pace(lambda: False, lambda: time.now, time.sleep)
    with pace.taken("loop"):
        assert not ask(pace, time, "mine")
    assert not ask(pace, time, "loop")
    assert ask(pace, time, "mine")
    assert ask(pace, time, "loop")


def test_who_asks_no_more_is_not_waited_for() -> None:
    time = Time()
    pace = Pace(lambda: False, lambda: time.now, time.sleep)
    with pace.taken("a"):
        assert not ask(pace, time, "gone")
    assert not ask(pace, time, "a")
    time.now += MISSED_LOOKS * AGAIN_SECONDS
    assert ask(pace, time, "a")


def test_what_is_known_of_addresses_is_bounded() -> None:
    time = Time()
    pace = Pace(lambda: False, lambda: time.now, time.sleep)
    for n in range(MOST + 10):
        assert ask(pace, time, f"{n}")
    assert len(pace._served) == MOST
