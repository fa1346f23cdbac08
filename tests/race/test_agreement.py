"""Lanes stop at different lengths, so agreement is none of pairs alone: what a group is must hold all the same."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from kvdemo.core.figures.metrics import first_difference
from kvdemo.race.agreement import Group, group, groups
from tests.scripted import record

TEXTS = st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=5), min_size=1, max_size=6).map(
    lambda texts: dict(enumerate(texts))
)


@given(TEXTS)
def test_every_lane_is_in_one_group(texts: dict[int, list[int]]) -> None:
    assert sorted(lane for one in group(texts) for lane in one.lanes) == list(texts)


@given(TEXTS)
def test_two_lanes_of_a_group_agree_to_the_end_of_the_shorter(texts: dict[int, list[int]]) -> None:
    for one in group(texts):
        for a in one.lanes:
            assert all(first_difference(texts[a], texts[b]) is None for b in one.lanes)


@given(TEXTS)
def test_a_group_departs_at_the_first_difference_from_the_first_group(
    texts: dict[int, list[int]],
) -> None:
    first, *others = group(texts)
    common = max((texts[lane] for lane in first.lanes), key=len)
    assert first.departs is None
    for one in others:
        assert {first_difference(common, texts[lane]) for lane in one.lanes} == {one.departs}


@given(TEXTS)
def test_the_first_group_is_the_largest_set_of_lanes_that_agree(texts: dict[int, list[int]]) -> None:
    sizes = [len(one.lanes) for one in group(texts)]
    assert sizes == sorted(sizes, reverse=True)
    beginnings = (sum(whole[: len(ids)] == ids for ids in texts.values()) for whole in texts.values())
    assert sizes[0] == max(beginnings)


@given(TEXTS)
def test_groups_do_not_depend_on_the_order_of_the_lanes(texts: dict[int, list[int]]) -> None:
    again = group({10 * lane: ids for lane, ids in texts.items()})
    assert [tuple(lane // 10 for lane in one.lanes) for one in again] == [one.lanes for one in group(texts)]


def test_a_short_lane_that_agrees_with_two_groups_joins_the_larger() -> None:
    assert group({0: [1, 2], 1: [1], 2: [1, 3], 3: [1, 3, 4]}) == [Group((1, 2, 3)), Group((0,), 1)]


def test_among_equal_groups_that_of_the_earliest_lane_comes_first() -> None:
    assert group({0: [5], 1: [1, 2], 2: [1]}) == [Group((1, 2)), Group((0,), 0)]
    assert group({0: [5], 1: [1]}) == [Group((0,)), Group((1,), 0)]


def test_lanes_without_tokens_and_remote_lanes_are_in_no_group() -> None:
    there = record("There", [1], [1.0])
    there.info = replace(there.info, elsewhere=True)
    assert groups([record("A", [], []), record("B", [1], [1.0]), there]) == [Group((1,))]
