"""The stores: a page finds its own latest run, of the model that wrote it, and all of them together are bounded."""

import platform
from dataclasses import dataclass
from typing import Any

import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kvdemo.caches.prefix_store import PrefixEntry, SessionPrefixes
from kvdemo.core.system.freed_memory import give_back

POSITION_BYTES = 2 * 2 * 4 * 8 * 4  # two layers of keys and values, four heads of eight float32


class Network(torch.nn.Module):
    """Stands for a model's weights: what a store tells models apart by."""


@dataclass
class Model:
    network: Network


@pytest.fixture
def model() -> Any:
    return Model(Network())


def kept(positions: int, first: int = 0) -> PrefixEntry:
    pairs = tuple((torch.zeros(1, 4, positions, 8), torch.zeros(1, 4, positions, 8)) for _ in range(2))
    return PrefixEntry(tuple(range(first, first + positions)), pairs)


ids = st.lists(st.integers(0, 2), max_size=12)


@given(ids, ids)
def test_the_common_prefix_is_counted_from_the_first_token(ours: list[int], theirs: list[int]) -> None:
    common = max(n for n in range(min(len(ours), len(theirs)) + 1) if ours[:n] == theirs[:n])
    assert PrefixEntry(tuple(ours), ()).common(theirs) == common


def test_a_page_finds_its_own_latest_run_only(model: Any) -> None:
    prefixes = SessionPrefixes()
    prefixes.for_session("a").put(model, kept(5))
    said = prefixes.for_session("a").put(model, latest := kept(3, first=7))
    assert said.startswith("Its 3 positions (1.54 kB) are kept for the next race of this page:")
    assert prefixes.for_session("a").find(model) is latest
    assert prefixes.for_session("b").find(model) is None
    assert prefixes.bytes == 3 * POSITION_BYTES


def test_entries_are_found_by_their_own_model_and_freed_with_it(model: Any) -> None:
    prefixes, other = SessionPrefixes(), Model(Network())
    store = prefixes.for_session("a")
    store.put(model, kept(5))
    assert store.find(other) is None  # type: ignore[arg-type]
    del model.network
    assert prefixes.bytes == 0


def test_a_closed_page_keeps_nothing_even_if_its_race_still_runs(model: Any) -> None:
    prefixes = SessionPrefixes()
    store = prefixes.for_session("a")
    store.put(model, kept(5))
    prefixes.drop("a")
    assert prefixes.bytes == 0
    assert "Nothing is kept" in store.put(model, kept(5))
    assert prefixes.bytes == 0
    assert prefixes.for_session("a").find(model) is None
    prefixes.drop("never seen")


def test_a_full_store_drops_the_least_recently_used_page(model: Any) -> None:
    prefixes = SessionPrefixes(most_bytes=10 * POSITION_BYTES)
    for page in "abc":
        prefixes.for_session(page).put(model, kept(3))
    prefixes.for_session("a")  # races again
    prefixes.for_session("d").put(model, kept(4))
    assert [page for page in "abcd" if prefixes.for_session(page).find(model)] == ["a", "c", "d"]
    assert prefixes.bytes == 10 * POSITION_BYTES


def test_an_entry_larger_than_the_store_drops_no_other(model: Any) -> None:
    prefixes = SessionPrefixes(most_bytes=10 * POSITION_BYTES)
    prefixes.for_session("a").put(model, own := kept(4))
    prefixes.for_session("b").put(model, kept(4))
    said = prefixes.for_session("a").put(model, kept(11))
    assert said == "Its 11 positions (5.63 kB) are not kept: there is room for 5.12 kB, over all pages."
    assert prefixes.for_session("a").find(model) is own
    assert prefixes.for_session("b").find(model)


def test_the_number_of_pages_with_a_store_is_bounded(model: Any) -> None:
    prefixes = SessionPrefixes(most_pages=3)
    for page in "abcd":
        prefixes.for_session(page).put(model, kept(1))
    assert prefixes.for_session("a").find(model) is None
    assert prefixes.bytes <= 3 * POSITION_BYTES


def test_a_page_whose_race_runs_is_not_dropped_for_others(model: Any) -> None:
    prefixes = SessionPrefixes(most_pages=3)
    with prefixes.for_race("a") as store:
        for page in "bcdef":
            prefixes.for_session(page).put(model, kept(1))
        assert "are kept" in store.put(model, kept(2))
    assert prefixes.for_session("a").find(model) is not None
    for page in "ghi":
        prefixes.for_session(page).put(model, kept(1))
    assert prefixes.for_session("a").find(model) is None  # its race is over


def test_more_racing_pages_than_stores_all_have_one(model: Any) -> None:
    prefixes = SessionPrefixes(most_pages=1)
    with prefixes.for_race("a") as first, prefixes.for_race("b") as second:
        assert "are kept" in first.put(model, kept(1))
        assert "are kept" in second.put(model, kept(1))


def test_pages_that_keep_nothing_are_dropped_before_one_that_does(model: Any) -> None:
    prefixes = SessionPrefixes(most_pages=3)
    prefixes.for_session("a").put(model, kept(1))
    for page in "bcdefgh":
        prefixes.for_session(page)
    assert prefixes.for_session("a").find(model) is not None


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no way to give memory back")
def test_what_is_let_go_is_free_for_the_system(model: Any) -> None:
    """Else a run that is estimated again is refused again: freed blocks of this size stay with the program."""
    prefixes, process = SessionPrefixes(), psutil.Process()
    give_back()  # what other tests freed would be taken first
    before = process.memory_info().rss
    for page in range(8):
        pairs = []
        for _ in range(30):
            keys = torch.zeros(1, 3, 500 + 100 * page, 64)
            for _ in range(10):  # as a cache grows
                keys = torch.cat((keys, torch.zeros(1, 3, 1, 64)), -2)
            pairs.append((keys, keys.clone()))
        ids = tuple(range(pairs[0][0].shape[-2]))
        prefixes.for_session(str(page)).put(model, PrefixEntry(ids, tuple(pairs)))
    del pairs, keys
    held = prefixes.bytes
    assert process.memory_info().rss - before > 0.9 * held
    assert prefixes.let_go()
    assert process.memory_info().rss - before < 0.2 * held


def test_what_is_kept_for_all_pages_can_be_let_go_at_once(model: Any) -> None:
    prefixes = SessionPrefixes()
    assert not prefixes.let_go()
    for page in ("a", "b"):
        prefixes.for_session(page).put(model, kept(5))
    assert prefixes.let_go()
    assert prefixes.bytes == 0
    assert prefixes.for_session("a").find(model) is None
    prefixes.for_session("a").put(model, kept(2))  # its page is known as before
    assert prefixes.for_session("a").find(model) is not None
