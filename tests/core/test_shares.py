"""Which part of all one address may have."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from kvdemo.core.shares import Quota

MOST = st.integers(1, 300)


@given(st.data(), MOST)
def test_one_address_alone_may_have_all_that_it_is_promised(data: st.DataObject, of_all: int) -> None:
    of_one = data.draw(st.integers(1, of_all))
    assert Quota(of_one, of_all).share(0) == of_one


@given(st.data(), MOST)
def test_a_share_falls_as_others_take_more_and_is_never_more_than_they_leave(data: st.DataObject, of_all: int) -> None:
    of_one = data.draw(st.integers(1, of_all))
    shares = [Quota(of_one, of_all).share(others) for others in range(of_all)]
    assert shares == sorted(shares, reverse=True)
    assert all(1 <= one <= of_all - others for others, one in enumerate(shares))


@given(st.data(), MOST)
def test_addresses_that_take_all_they_may_leave_a_part_for_those_who_come_then(
    data: st.DataObject, of_all: int
) -> None:
    of_one = data.draw(st.integers(1, of_all))
    takers = data.draw(st.lists(st.sampled_from("abcde"), max_size=200)) + list("abcde" * of_all)
    held: list[str] = []
    for taker in takers:
        if taker not in held and len(held) == of_all:
            continue  # the limit of all
        if Quota(of_one, of_all).has_place(taker, held):
            held.append(taker)
    greedy = len(Counter(held))
    assert of_all - len(held) >= of_all * (1 - of_one / of_all) ** greedy - greedy


def test_whoever_has_nothing_is_told_of_the_limit_of_all() -> None:
    assert Quota(2, 9).has_place("new", ["other"] * 9)
    assert not Quota(2, 9).has_place("new", [*["other"] * 8, "new"])


def test_two_addresses_with_half_each_leave_a_quarter() -> None:
    held: list[str] = []
    for address in ("a", "b"):
        while Quota(50, 100).has_place(address, held):
            held.append(address)
    assert Counter(held) == {"a": 50, "b": 25}
