"""Whoever took least time of late comes next, whoever else asks and however often."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvdemo.server.questions import least_used
from kvdemo.server.questions.least_used import HALF_LIFE_S, LeastUsed


class Watched:
    """Turns by a clock that stands still, whose works take the seconds that are told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.turns = LeastUsed(lambda: self.now)
        self.order: list[str] = []
        self._threads: list[threading.Thread] = []

    def works(self, address: str, seconds: float) -> None:
        """Have somebody work, when nobody else does."""
        with self.turns.turn(address):
            self.now += seconds

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the turn, so that all others wait; then have all served."""
        with self.turns.turn():
            yield
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()

    def waits(self, address: str | None, seconds: float) -> None:
        """Have somebody wait for a turn, and work so long in it."""

        def work() -> None:
            with self.turns.turn(address):
                self.order.append(str(address))
                self.now += seconds

        before = len(self.turns)
        self._threads.append(threading.Thread(target=work, daemon=True))
        self._threads[-1].start()
        while len(self.turns) == before:
            time.sleep(0.001)


def test_a_short_work_waits_for_the_one_under_way_and_for_none_of_those_that_took_long() -> None:
    watched = Watched()
    slow = [f"192.0.2.{n}" for n in range(8)]
    for address in slow:
        watched.works(address, 5.0)
    watched.works("198.51.100.1", 0.1)
    with watched.held():
        for address in slow:
            watched.waits(address, 5.0)
        watched.waits("198.51.100.1", 0.1)
    assert watched.order[0] == "198.51.100.1"


def test_among_equals_who_came_first_comes_first_and_nobody_without_an_address_is_charged_for_another() -> None:
    watched = Watched()
    with watched.held():
        for address in (None, "192.0.2.1", None, "192.0.2.2"):
            watched.waits(address, 1.0)
    assert watched.order == ["None", "192.0.2.1", "None", "192.0.2.2"]


def test_what_was_used_is_forgotten() -> None:
    watched = Watched()
    watched.works("192.0.2.1", 5.0)
    watched.works("192.0.2.2", 1.0)
    watched.now += 3 * HALF_LIFE_S
    watched.works("192.0.2.2", 1.0)
    with watched.held():
        watched.waits("192.0.2.2", 1.0)
        watched.waits("192.0.2.1", 1.0)
    assert watched.order == ["192.0.2.1", "192.0.2.2"]


def test_of_many_addresses_those_that_took_most_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(least_used, "MOST", 3)
    watched = Watched()
    for number in range(9):
        watched.works(f"192.0.2.{number}", 1.0 + number % 5)
    assert set(watched.turns._used) == {"192.0.2.3", "192.0.2.4", "192.0.2.8"}


def test_a_work_that_fails_gives_its_turn_back_and_is_charged() -> None:
    watched = Watched()
    try:
        with watched.turns.turn("192.0.2.1"):
            watched.now += 5.0
            raise ValueError
    except ValueError:
        pass
    with watched.held():
        watched.waits("192.0.2.1", 1.0)
        watched.waits("192.0.2.2", 1.0)
    assert watched.order == ["192.0.2.2", "192.0.2.1"]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0.1, 5.0)), min_size=1, max_size=8))
def test_all_are_served_and_each_address_in_the_order_in_which_it_asked(asked: list[tuple[str, float]]) -> None:
    watched = Watched()
    with watched.held():
        for address, seconds in asked:
            watched.waits(address, seconds)
    assert sorted(watched.order) == sorted(address for address, _ in asked)
