"""A text of millions of entries, or of millions of characters, is refused before it is taken apart."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.settings import strategy_spec, validation
from kvdemo.core.settings.inside import MOST_ID, MOST_SHOWN_TOKENS, PANELS
from kvdemo.core.settings.validation import MOST_ENTRIES, MOST_SPEC

#: What reads a list that a visitor wrote as a text.
LISTS: dict[str, Callable[[Any], Any]] = {
    "lanes": lambda value: validation.lanes(value, 6),
    "lengths": lambda value: validation.lengths("prompt lengths", value, 1000, 8),
    "ids": lambda value: validation.ids("tokens", value, MOST_ID, MOST_SHOWN_TOKENS),
    "several": lambda value: validation.several("panels", value, PANELS),
}
ENTRY = {"lanes": "no_cache", "lengths": "1", "ids": "1", "several": "past"}


class Text(str):
    """A text that must not be split."""

    def split(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("it was split")


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("entry", ["", " ", "1", "x"])
def test_a_text_of_too_many_entries_is_refused_before_it_is_split(kind: str, entry: str) -> None:
    with pytest.raises(BadInput) as caught:
        LISTS[kind](Text(f"{entry}," * 2 * max(MOST_ENTRIES, MOST_SHOWN_TOKENS)))
    assert "too many" in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_of_too_many_entries_is_refused_before_any_is_read(kind: str) -> None:
    class Entries(list[str]):
        def __iter__(self) -> Any:
            raise AssertionError("an entry was read")

    with pytest.raises(BadInput, match="too many"):
        LISTS[kind](Entries([ENTRY[kind]] * 2 * max(MOST_ENTRIES, MOST_SHOWN_TOKENS)))


@pytest.mark.parametrize(("kind", "entry"), ENTRY.items())
@pytest.mark.parametrize("as_text", [True, False])
def test_blank_and_equal_entries_do_no_harm_to_an_honest_list(kind: str, entry: str, as_text: bool) -> None:
    entries = [entry] if kind in ("lanes", "ids") else [entry, entry]
    value = f" {','.join(entries)}" if as_text else entries
    assert len(LISTS[kind](value)) == 1


@pytest.mark.parametrize(
    "spec", ["no_cache" + ":a=b" * 900_000, "x" * 4_000_000, "sliding_window:window=" + "1" * MOST_SPEC]
)
def test_a_lane_of_too_many_characters_is_refused_before_it_is_split(spec: str) -> None:
    with pytest.raises(BadInput) as caught:
        strategy_spec.split(Text(spec))
    assert "characters" in str(caught.value)
    assert len(str(caught.value)) < 250


def test_the_longest_honest_lane_is_read() -> None:
    draft = "speculative:draft=" + "a" * 96
    assert strategy_spec.split(draft)[1] == {"draft": "a" * 96}
    assert len(":".join(["dynamic_cache", *(f"setting_{n}=0.123456789" for n in range(30))])) < MOST_SPEC


@pytest.mark.parametrize(
    "digits", ["1" * 4_000_000, "0." + "1" * 4_000_000, "0" * 4_000_000, "1e" + "9" * 4_000_000, " " * 4_000_000]
)
def test_a_number_of_millions_of_digits_is_not_read(digits: str) -> None:
    for check in (validation.whole, validation.number):
        with pytest.raises(BadInput, match="must be a"):
            check("seed", digits, 0, 10)


#: What a message may have to quote.
LONG = {
    "a text": "x" * 4_000_000, "characters": "\U0001f600" * 1_000_000, "halves": "\ud800" * 1_000_000,
    "a list": ["x"] * 400_000, "a long text in a list": ["x" * 4_000_000], "an object": {"k" * 4_000_000: 1},
    "lists": [[[[["x" * 100] * 100] * 100] * 100]], "a number": 10 ** (sys.get_int_max_str_digits() - 1),
    "a number that Python does not write": 10 ** (sys.get_int_max_str_digits() + 1),
    "such a number in a list": [10**5000],
}  # fmt: skip


@pytest.mark.parametrize("value", LONG.values(), ids=LONG)
def test_what_a_message_quotes_is_short_however_much_there_is(value: Any) -> None:
    shown = validation.show(value)
    assert len(shown) <= 60
    assert shown.isascii()
    assert shown.isprintable()


def test_a_message_quotes_what_is_short_as_python_writes_it() -> None:
    values: tuple[Any, ...] = ("a", "it's", "é", 7, 1.5, True, None, [1, "a"], [], {"a": [1]}, ("x",), float("nan"))
    for value in values:
        assert validation.show(value) == ascii(value)
