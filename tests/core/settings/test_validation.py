"""What a message quotes of a value is short, whatever it holds."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from kvdemo.core.settings import validation

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
