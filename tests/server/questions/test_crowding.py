"""Which questions are too many for their second."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kvdemo.server.questions.crowding import MOST_A_SECOND, Crowding


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
