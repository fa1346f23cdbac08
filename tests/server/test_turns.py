"""Turns on the device, by threads that wait for each other."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kvdemo.server.turns import Turns

PATIENCE = 10


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Visitor(threading.Thread):
    """Takes a turn and holds it until it is let go."""

    def __init__(
        self, turns: Turns, name: str, order: list[str], arrival: int | None = None, address: str | None = None
    ) -> None:
        super().__init__(daemon=True)
        self.arrival, self.address = arrival, address
        self.turns, self.visitor, self.order = turns, name, order
        self.told: list[str] = []
        self.stop, self.has_told, self.has_turn, self.may_go = (threading.Event() for _ in range(4))

    def run(self) -> None:
        with self.turns.take(self.tell, self.stop, self.arrival, self.address):
            if not self.stop.is_set():
                self.order.append(self.visitor)
            self.has_turn.set()
            self.may_go.wait(PATIENCE)

    def tell(self, text: str) -> None:
        self.told.append(text)
        self.has_told.set()


@contextmanager
def waiting(turns: Turns, names: str) -> Iterator[tuple[list[Visitor], list[str]]]:
    """Visitors in a line, in this order; the first has its turn."""
    order: list[str] = []
    line = [Visitor(turns, name, order) for name in names]
    for place, visitor in enumerate(line):
        visitor.start()
        assert (visitor.has_told if place else visitor.has_turn).wait(PATIENCE)
    yield line, order
    for visitor in line:
        visitor.may_go.set()
        visitor.join(PATIENCE)
        assert not visitor.is_alive()


def test_an_earlier_arrival_is_served_first_even_if_it_joins_later() -> None:
    turns, order = Turns(), []
    line = [Visitor(turns, str(arrival), order, arrival) for arrival in (3, 2, 5, 1, None, 4)]
    for place, visitor in enumerate(line):
        visitor.start()
        assert (visitor.has_told if place else visitor.has_turn).wait(PATIENCE)
    for visitor in line:
        visitor.may_go.set()
    for visitor in line:
        visitor.join(PATIENCE)
    # 3 had its turn already. Who has no number stands where it joined, and nobody goes past it.
    assert order == ["3", "1", "2", "5", "None", "4"]


def test_whoever_another_address_goes_before_is_told_so() -> None:
    turns, order = Turns(Clock()), []
    line = [Visitor(turns, f"{number}", order, number, address) for number, address in enumerate("aaab")]
    for place, visitor in enumerate(line):
        for other in line:
            other.has_told.clear()
        visitor.start()
        assert (visitor.has_told if place else visitor.has_turn).wait(PATIENCE)
    first = "Waiting for the device: another run or a model's loading comes first"
    assert line[3].told == [first]
    assert all(visitor.has_told.wait(PATIENCE) for visitor in line[1:3])
    assert line[1].told == [first, "Waiting for the device: 2 runs come first"]
    assert line[2].told[-1] == "Waiting for the device: 3 runs come first"
    for visitor in line:
        visitor.may_go.set()
    for visitor in line:
        visitor.join(PATIENCE)
    assert order == ["0", "3", "1", "2"]


def test_runs_are_served_in_order_of_arrival() -> None:
    with waiting(Turns(), "abcdefghij") as (line, order):
        for visitor in line:
            assert visitor.has_turn.wait(PATIENCE)
            visitor.may_go.set()
    assert order == list("abcdefghij")


def test_a_waiting_run_reports_its_place_in_the_queue_as_it_changes() -> None:
    with waiting(Turns(Clock()), "abc") as (line, _):
        assert line[1].told == ["Waiting for the device: another run or a model's loading comes first"]
        assert line[2].told == ["Waiting for the device: 2 runs come first"]
        line[2].has_told.clear()
        line[0].may_go.set()
        assert line[2].has_told.wait(PATIENCE)
        assert line[2].told[-1].startswith("Waiting for the device: another run or a model's loading comes first")


@pytest.mark.parametrize(
    ("taken", "text"), [(3, "a few seconds"), (20, "about 40 s"), (60, "about 2 min"), (3600, "about 120 min")]
)
def test_the_expected_wait_is_estimated_from_earlier_turns(taken: float, text: str) -> None:
    clock = Clock()
    turns = Turns(clock)
    with turns.take(lambda _: None, threading.Event()):
        clock.now = taken
    with waiting(turns, "abc") as (line, _):
        assert line[2].told == [f"Waiting for the device: 2 runs come first, {text}"]


def test_a_stopped_run_leaves_the_queue_without_a_turn() -> None:
    with waiting(Turns(), "abc") as (line, order):
        line[1].stop.set()
        assert line[1].has_turn.wait(PATIENCE)  # it goes on, to see that it was stopped
        line[1].may_go.set()
        line[0].may_go.set()
        assert line[2].has_turn.wait(PATIENCE)
    assert order == ["a", "c"]


def test_a_run_that_raises_releases_its_turn() -> None:
    turns = Turns()
    with pytest.raises(RuntimeError), turns.take(lambda _: None, threading.Event()):
        raise RuntimeError("broken on purpose")
    with turns.take(lambda _: pytest.fail("nobody comes first"), threading.Event()):
        pass


def test_a_turn_released_early_is_released_once() -> None:
    turns = Turns()
    with turns.take(lambda _: None, threading.Event()) as give_back:
        give_back()
        with turns.take(lambda _: pytest.fail("nobody comes first"), threading.Event()):
            give_back()
    with turns.take(lambda _: pytest.fail("nobody comes first"), threading.Event()):
        pass


def test_a_stopped_run_is_overdue_until_it_releases_its_turn() -> None:
    clock, stop = Clock(), threading.Event()
    turns = Turns(clock)
    assert turns.overdue() == 0
    with turns.take(lambda _: None, stop):
        clock.now = 100
        assert turns.overdue() == 0
        stop.set()
        assert turns.overdue() == 0
        clock.now = 130
        assert turns.overdue() == 30
    assert turns.overdue() == 0
    with turns.take(lambda _: None, threading.Event()):
        assert turns.overdue() == 0


def test_a_run_whose_step_outlasts_its_time_is_overdue_though_nobody_stops_it() -> None:
    clock = Clock()
    turns = Turns(clock)
    with turns.take(lambda _: None, threading.Event()) as give_back:
        turns.limit(900)
        clock.now = 900
        assert turns.overdue() == 0
        clock.now = 940
        assert turns.overdue() == 40
        give_back()
        assert turns.overdue() == 0
    with turns.take(lambda _: None, threading.Event()):
        assert turns.overdue() == 0  # the limit was that of the run before
        turns.limit(10)
        clock.now = 1000
        assert turns.overdue() == 50
