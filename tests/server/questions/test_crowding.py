"""Which questions are too many for their second, and which take too much of it."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvdemo.server.questions.crowding import MOST_A_SECOND, MOST_SECONDS, Crowding


def beyond(*times: float) -> int:
    """How many of the questions that came at these times are too many."""
    left = iter(times)
    crowding = Crowding(lambda: next(left))
    for _ in times:
        crowding.note()
    return crowding.beyond


@given(st.integers(0, 3 * MOST_A_SECOND), st.floats(0, 1e6))
def test_those_of_one_moment_are_counted_beyond_the_most_of_a_second(questions: int, moment: float) -> None:
    assert beyond(*[moment] * questions) == max(0, questions - MOST_A_SECOND)


def test_a_burst_in_a_long_quiet_time_counts() -> None:
    quiet = [float(second) for second in range(1000)]
    assert beyond(*quiet) == 0
    assert beyond(*quiet, *[1000.0] * (MOST_A_SECOND + 7)) == 7


@given(st.lists(st.floats(0, 100), max_size=300).map(sorted))
def test_never_more_are_too_many_than_all_but_the_most_of_the_first_second(times: list[float]) -> None:
    assert 0 <= beyond(*times) <= max(0, len(times) - MOST_A_SECOND)


def seconds_beyond(*taken: tuple[float, float]) -> float:
    """The seconds beyond those of each second, of questions that were answered at a time and took so much CPU."""
    at, spent = [0.0], [0.0]
    crowding = Crowding(lambda: at[0], lambda: spent[0])
    for moment, seconds in taken:
        with crowding.answered():
            at[0], spent[0] = moment, spent[0] + seconds
    return crowding.seconds_beyond


@given(st.lists(st.floats(0, 2 * MOST_SECONDS), max_size=20))
def test_the_time_of_one_moment_is_counted_beyond_the_most_of_a_second(times: list[float]) -> None:
    assert seconds_beyond(*((7.0, taken) for taken in times)) == pytest.approx(max(0, sum(times) - MOST_SECONDS))


def test_one_long_question_in_a_long_quiet_time_counts_and_short_ones_do_not() -> None:
    quiet = [(float(second), 0.9 * MOST_SECONDS) for second in range(1000)]
    assert seconds_beyond(*quiet) == 0
    assert seconds_beyond(*quiet, (1000.0, 5.3)) == pytest.approx(5.3 - MOST_SECONDS)


def test_the_time_of_reading_a_question_counts() -> None:
    crowding = Crowding()
    with crowding.answered(read_seconds=0.5):
        pass
    assert crowding.seconds_beyond == pytest.approx(0.5 - MOST_SECONDS, abs=MOST_SECONDS)


@pytest.mark.skipif(not hasattr(time, "pthread_getcpuclockid"), reason="this system does not tell of other threads")
def test_a_question_that_is_not_answered_yet_counts_and_is_not_counted_twice() -> None:
    crowding, works, over = Crowding(), threading.Event(), threading.Event()

    def answer() -> None:
        with crowding.answered():
            until = time.thread_time() + 0.2
            while time.thread_time() < until:
                pass
            works.set()
            over.wait(30)

    thread = threading.Thread(target=answer)
    thread.start()
    assert works.wait(30)
    meanwhile = crowding.seconds_beyond
    over.set()
    thread.join(30)
    assert 0.2 - MOST_SECONDS <= meanwhile <= crowding.seconds_beyond < meanwhile + 0.1


def test_a_question_that_fails_is_counted_and_forgotten() -> None:
    crowding = Crowding()
    with pytest.raises(ValueError, match="no"), crowding.answered(read_seconds=1):
        raise ValueError("no")
    before = crowding.seconds_beyond
    assert before > 0.9
    sum(range(300_000))
    assert crowding.seconds_beyond == before
