"""The order of those who wait for the device, whoever joins and leaves, and whenever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvdemo.server.line import Line, Ticket


class Watched:
    """A line, with what happens in it: who has the device one after the other, by name."""

    def __init__(self) -> None:
        self.line = Line()
        self.here: dict[Ticket, str] = {}

    def join(self, name: str, arrival: int | None = None, address: str | None = None) -> Ticket:
        ticket = self.line.join(arrival, address)
        self.here[ticket] = name
        return ticket

    def leave(self, ticket: Ticket) -> None:
        self.line.leave(ticket)
        del self.here[ticket]

    @property
    def order(self) -> list[Ticket]:
        """Those in the line, as their places say."""
        order = sorted(self.here, key=self.line.place)
        assert [self.line.place(ticket) for ticket in order] == list(range(len(self.line)))
        return order

    def names(self) -> list[str]:
        return [self.here[ticket] for ticket in self.order]

    def turns(self) -> Iterator[str]:
        """Have everybody served, to the last."""
        while self.line:
            first = self.order[0]
            yield self.here[first]
            self.leave(first)


def test_an_address_with_many_runs_holds_another_up_for_the_one_that_is_under_way() -> None:
    watched = Watched()
    for number in range(50):
        watched.join(f"a{number}", number, "203.0.113.1")
    victim = watched.join("b", 50, "203.0.113.2")
    assert watched.line.place(victim) == 1


def test_addresses_take_turns_and_each_has_its_runs_in_order() -> None:
    watched = Watched()
    for number, name in enumerate(["a1", "a2", "a3", "b1", "b2", "c1"]):
        watched.join(name, number, f"203.0.113.{name[0]}")
    assert list(watched.turns()) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_an_address_that_comes_again_and_again_does_not_go_before_one_that_waits() -> None:
    watched = Watched()
    for number, name in enumerate(["a1", "a2", "a3", "b1", "b2", "b3"]):
        watched.join(name, number, name[0])
    turns = watched.turns()
    assert [next(turns), next(turns)] == ["a1", "b1"]
    watched.join("c1", 10, "c")
    assert list(turns) == ["a2", "c1", "b2", "a3", "b3"]


def test_who_has_several_runs_is_not_kept_waiting_by_ever_new_addresses() -> None:
    watched = Watched()
    watched.join("a1", 1, "a")
    watched.join("a2", 2, "a")
    watched.join("b", 3, "b")
    turns = watched.turns()
    assert next(turns) == "a1"
    assert next(turns) == "b"
    for number in range(4, 20):
        watched.join(f"new {number}", number, str(number))
    assert next(turns) == "a2"


def test_who_goes_slowly_from_asking_to_joining_has_no_more_turns_for_it() -> None:
    watched = Watched()
    first = watched.join("a1", 1, "a")
    watched.join("x", 8, "x")
    watched.join("b", 9, "b")
    watched.leave(first)
    watched.join("a2", 2, "a")  # it came long ago, and listens only now
    assert list(watched.turns()) == ["x", "b", "a2"]


@pytest.mark.parametrize(
    ("one", "other"), [("2001:db8::1", "2001:db8:0:1::1"), ("203.0.113.1", "::ffff:203.0.113.1"), ("", "")]
)
def test_addresses_that_one_visitor_may_have_are_one(one: str, other: str) -> None:
    watched = Watched()
    for number, address in enumerate([one, one, other, "198.51.100.1"]):
        watched.join(f"{number}", number, address)
    assert list(watched.turns()) == ["0", "3", "1", "2"]


def test_what_a_line_remembers_goes_with_those_who_wait() -> None:
    line = Line()
    waits = line.join(0, "has the device")
    for number in range(1, 1000):
        following = line.join(number, str(number))
        line.leave(waits)
        waits = following
        assert len(line._served) < 3
    line.leave(waits)
    assert not line._served


def test_the_places_told_are_right_where_somebody_joins_late() -> None:
    watched = Watched()
    for arrival, name in [(7, "a1"), (8, "a2"), (1, "b1"), (2, "b2")]:
        watched.join(name, arrival, name[0])
    told = watched.names()
    assert list(watched.turns()) == told == ["a1", "b1", "a2", "b2"]


@given(st.permutations(range(100)), st.booleans())
def test_a_hundred_with_one_run_each_or_of_one_address_are_served_in_order_of_arrival(
    arrivals: list[int], one: bool
) -> None:
    watched = Watched()
    watched.join("has the device", 1000, "another")
    for arrival in arrivals:
        watched.join(str(arrival), arrival, "one" if one else str(arrival))
    assert list(watched.turns())[1:] == [str(number) for number in range(100)]


#: What happens: an address joins, with an arrival so much earlier than the latest; somebody leaves; a turn ends.
JOINS = st.tuples(st.just("joins"), st.sampled_from("abc"), st.integers(0, 6))
LEAVES = st.tuples(st.just("leaves"), st.just(""), st.integers(0, 9))
ENDS = st.tuples(st.just("ends"), st.just(""), st.just(0))
HAPPENS = st.lists(st.one_of(JOINS, JOINS, LEAVES, ENDS), max_size=60)


@settings(max_examples=300)
@given(HAPPENS)
def test_no_address_waits_for_more_than_one_run_of_each_other_for_each_of_its_own(
    happens: list[tuple[str, str, int]],
) -> None:
    """While a run is its address's first, at most one run of each other address is under way."""
    watched = Watched()
    seen: dict[Ticket, set[Ticket]] = {}  # for the first of each address: who had the device meanwhile
    for number, (what, address, how) in enumerate([*happens, *[("ends", "", 0)] * 60]):
        if what == "joins":
            watched.join(address, 10 * (number - how) + how, address)
        elif len(watched.line) > (what == "leaves"):
            watched.leave(watched.order[0 if what == "ends" else 1 + how % (len(watched.line) - 1)])
        if not watched.line:
            continue
        has, *waiting = watched.order
        firsts: dict[str, Ticket] = {}
        for ticket in waiting:
            firsts.setdefault(watched.here[ticket], ticket)
        firsts.pop(watched.here[has], None)
        seen = {first: {*seen.get(first, ()), has} for first in firsts.values()}
        for had in seen.values():
            assert max(Counter(one.of for one in had).values()) == 1
    assert not watched.line


@settings(max_examples=300)
@given(HAPPENS)
def test_the_places_told_are_those_in_which_all_are_served_if_nobody_comes_or_goes(
    happens: list[tuple[str, str, int]],
) -> None:
    watched = Watched()
    for number, (what, address, how) in enumerate(happens):
        if what == "joins":
            watched.join(f"{address} {number}", 10 * (number - how) + how, address)
        elif len(watched.line) > (what == "leaves"):
            watched.leave(watched.order[0 if what == "ends" else 1 + how % (len(watched.line) - 1)])
    told = watched.names()
    assert list(watched.turns()) == told
