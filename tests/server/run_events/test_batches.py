import threading
import time
from collections.abc import Callable

import pytest

from kvdemo.server.run_events.batches import PATIENCE_SECONDS, EventChannel, batches


def test_everything_arrives_once_and_in_order() -> None:
    def work(emit: Callable[[int], None]) -> None:
        for n in range(500):
            emit(n)

    got = list(batches(work, threading.Event(), interval=0.01))
    assert [n for batch in got for n in batch] == list(range(500))
    assert all(got)


def test_items_within_an_interval_are_one_batch() -> None:
    released = threading.Event()

    def work(emit: Callable[[str], None]) -> None:
        emit("a")
        emit("b")
        released.wait(5)
        emit("c")

    events = batches(work, threading.Event(), interval=0.05)
    assert next(events) == ["a", "b"]
    released.set()
    assert list(events) == [["c"]]


def test_an_exception_follows_what_came_before_it() -> None:
    def work(emit: Callable[[int], None]) -> None:
        emit(1)
        raise KeyError("lost")

    events = batches(work, threading.Event(), interval=0.01)
    assert next(events) == [1]
    with pytest.raises(KeyError, match="lost"):
        next(events)


def test_the_last_batch_does_not_wait_for_its_interval() -> None:
    start = time.monotonic()
    assert list(batches(lambda emit: emit(1), threading.Event(), interval=60)) == [[1]]
    assert time.monotonic() - start < 30  # not a measurement: it would be 60


def test_closing_raises_the_stop_flag_without_waiting_for_the_work() -> None:
    stop, ended = threading.Event(), threading.Event()

    def work(emit: Callable[[int], None]) -> None:
        emit(1)
        stop.wait(5)
        time.sleep(0.2)
        ended.set()

    events = batches(work, stop, interval=0.01)
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert stop.is_set()
    assert not ended.is_set()
    assert ended.wait(5)


def test_a_run_that_ends_by_itself_does_not_set_the_stop_flag() -> None:
    stop = threading.Event()
    assert list(batches(lambda emit: emit(1), stop, interval=0.01)) == [[1]]
    assert not stop.is_set()


def test_the_work_waits_until_a_sent_item_was_handled() -> None:
    seen: list[str] = []

    def work(tell: EventChannel[str]) -> None:
        tell("told")
        tell.send_and_wait("handed over", 0)
        seen.append("work goes on")

    for batch in batches(work, threading.Event(), interval=0.01):
        seen += batch
        time.sleep(0.1)  # the reader is at it
        seen.append("dealt with")
    assert seen[-3:] == ["handed over", "dealt with", "work goes on"]


def test_an_item_that_the_work_waits_for_is_sent_at_once() -> None:
    start = time.monotonic()
    assert list(batches(lambda tell: tell.send_and_wait(1, 0), threading.Event(), interval=60)) == [[1]]
    assert time.monotonic() - start < 30


def test_the_work_does_not_wait_for_a_closed_reader() -> None:
    stop, ended = threading.Event(), threading.Event()

    def work(tell: EventChannel[int]) -> None:
        tell.send_and_wait(1, 60)
        tell.send_and_wait(2, 60)
        ended.set()

    events = batches(work, stop, interval=0.01)
    assert next(events) == [1]
    events.close()  # type: ignore[attr-defined]
    assert ended.wait(PATIENCE_SECONDS - 1)


def test_work_that_rests_has_sent_what_it_rests_for_and_needs_no_reader() -> None:
    seen: list[str] = []

    def work(tell: EventChannel[str]) -> None:
        tell.send_and_rest("sent", 1)
        seen.append("work goes on")

    for batch in batches(work, threading.Event(), interval=60):
        seen += batch
        time.sleep(3)  # a reader that is slower than the rest is long
        seen.append("dealt with")
    assert seen == ["sent", "work goes on", "dealt with"]


def test_a_rest_ends_when_the_reader_is_gone() -> None:
    ended = threading.Event()

    def work(tell: EventChannel[int]) -> None:
        tell.send_and_rest(1, 60)
        ended.set()

    events = batches(work, threading.Event(), interval=0.01)
    assert next(events) == [1]
    events.close()  # type: ignore[attr-defined]
    assert ended.wait(5)


def test_the_work_may_say_how_long_its_items_wait_for_others() -> None:
    def work(tell: EventChannel[int]) -> None:
        tell.interval = 0.01
        tell(1)
        time.sleep(1)
        tell(2)

    assert list(batches(work, threading.Event(), interval=60)) == [[1], [2]]


def test_items_that_wait_for_others_are_sent_when_the_work_flushes() -> None:
    def work(tell: EventChannel[int]) -> None:
        tell(1)
        time.sleep(0.2)
        tell.flush()
        time.sleep(1)
        tell(2)

    assert list(batches(work, threading.Event(), interval=60)) == [[1], [2]]
