import time

import pytest

from kvdemo.models.sources.timeout import call_with_timeout


def test_an_answer_in_time_is_the_answer() -> None:
    assert call_with_timeout(5, lambda: 42) == 42


def test_a_question_that_no_time_out_reaches_is_given_up() -> None:
    with pytest.raises(TimeoutError):
        call_with_timeout(0.05, lambda: time.sleep(1))


def test_what_was_raised_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        call_with_timeout(5, lambda: 1 / 0)
