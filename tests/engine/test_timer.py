from collections.abc import Iterator

import pytest

from kvdemo.core.types import Step
from kvdemo.engine.timer import Stopwatch, time_steps
from tests.scripted import FakeClock, step


def test_a_step_costs_what_passes_between_two_synchronised_readings() -> None:
    clock, log = FakeClock(), []

    def synchronize() -> None:
        log.append("sync")
        clock.spend(0.5)  # work that was still pending on the device

    def strategy() -> Iterator[Step]:
        while True:
            log.append("step")
            clock.spend(2)
            yield step(1)

    steps = time_steps(strategy(), synchronize, Stopwatch(clock), clock)
    assert next(steps).seconds == 2.5  # the step and the wait behind it, not the wait before it
    clock.spend(100)  # whatever others do between two steps does not count
    assert next(steps).seconds == 2.5
    assert log == ["sync", "step", "sync"] * 2


def test_tokenisation_is_counted_separately_per_step() -> None:
    clock = FakeClock()
    tokenizing = Stopwatch(clock)

    def encode(text: str) -> list[int]:
        clock.spend(len(text))
        return [1]

    def strategy() -> Iterator[Step]:
        encode_timed = tokenizing.wrap(encode)
        for text in ("abc", "abcde"):
            encode_timed(text)
            clock.spend(1)
            yield step(1)

    got = list(time_steps(strategy(), lambda: None, tokenizing, clock))
    assert [t.tokenize_seconds for t in got] == [3, 5]
    assert [t.seconds for t in got] == [4, 6]


def test_time_is_counted_even_when_the_wrapped_function_fails() -> None:
    clock = FakeClock()
    watch = Stopwatch(clock)

    def fail() -> None:
        clock.spend(7)
        raise KeyError

    with pytest.raises(KeyError):
        watch.wrap(fail)()
    assert watch.take() == 7
    assert watch.take() == 0
