import time

import pytest

from kvdemo.models.sources.hub.timeout import call_with_timeout


def test_an_answer_in_time_is_returned() -> None:
    assert call_with_timeout(5, lambda: 42) == 42


def test_a_call_that_ignores_its_timeout_is_given_up() -> None:
    with pytest.raises(TimeoutError):
        call_with_timeout(0.05, lambda: time.sleep(1))


def test_an_exception_is_passed_on() -> None:
    with pytest.raises(ZeroDivisionError):
        call_with_timeout(5, lambda: 1 / 0)
