"""A machine that says nothing does not keep a race from being stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from kvdemo.core.events import Ended
from kvdemo.core.types import Step, TimedStep
from kvdemo.engine.lane import Lane
from kvdemo.engine.remote_steps import until_stopped
from tests.scripted import choice


def test_remote_steps_are_yielded_in_order_to_their_end() -> None:
    assert list(until_stopped(iter(range(5)), threading.Event())) == list(range(5))


def test_an_exception_of_the_remote_thread_is_raised_in_the_lane() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    taken = until_stopped(broken(), threading.Event())
    assert next(taken) == 1
    with pytest.raises(ValueError, match="broken"):
        next(taken)


def test_a_silent_remote_lane_ends_on_stop_and_is_closed_later() -> None:
    stop, speaks, closed = threading.Event(), threading.Event(), threading.Event()

    def silent() -> Iterator[TimedStep]:
        try:
            yield TimedStep(Step((choice(1),), positions=0), 0.1)
            speaks.wait()
            yield TimedStep(Step((choice(2),), positions=0), 0.1)
        finally:
            closed.set()

    events = Lane(silent(), 10, preemptible=False).run(0, stop, str)
    assert not isinstance(next(events), Ended)
    threading.Timer(0.2, stop.set).start()
    begun = time.monotonic()
    assert next(events) == Ended(0, "stopped")
    assert time.monotonic() - begun < 30  # it would wait for ever
    speaks.set()
    assert closed.wait(30)
