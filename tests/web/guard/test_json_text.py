"""A visitor's JSON that comes as a text is judged before it is parsed, and holds nothing that cannot be sent again."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from kvdemo.core.errors import BadInput
from kvdemo.web.guard import json_text
from kvdemo.web.guard.parts import MOST_DEPTH, MOST_SIGNS, TOO_DEEP, TOO_MANY
from tests.web.guard.test_parts import LARGE

MOST = 1_000_000
REFUSED: dict[str, tuple[str, str]] = {
    "too long": (json.dumps("x" * MOST), json_text.TOO_LONG.format(most=MOST)),
    "too deep": ("[" * (MOST_DEPTH + 1) + "]" * (MOST_DEPTH + 1), TOO_DEEP),
    "no JSON": ("{oops", json_text.UNREADABLE),
    "nothing": ("", json_text.UNREADABLE),
    "NaN": ("[NaN]", json_text.NO_NUMBER),
    "Infinity": ('{"a": -Infinity}', json_text.NO_NUMBER),
    "a number beyond all": ("1e999", json_text.NO_NUMBER),
    "more than 64 bits": (str(2**63), json_text.NO_NUMBER),
    "less than 64 bits": (str(-(2**63) - 1), json_text.NO_NUMBER),
    "5,000 digits": ("9" * 5000, json_text.NO_NUMBER),
    "half a character": ('"\\ud800"', json_text.NO_TEXT),
    "half a character in a key": ('{"\\udfff": 1}', json_text.NO_TEXT),
    "half a character as it is": ('"\ud800"', json_text.NO_TEXT),
    **{name: (text, TOO_MANY) for name, text in LARGE.items()},
}


@pytest.mark.parametrize(("text", "says"), REFUSED.values(), ids=REFUSED)
def test_what_should_not_be_parsed_is_refused_in_a_sentence(text: str, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        json_text.read(text, MOST)
    assert str(caught.value) == says


@pytest.mark.parametrize(
    "value",
    [{"a": [1, 2.5, None, True, "\U0001f600"]}, [0] * (MOST_SIGNS - 10), 2**63 - 1, -(2**63), "x" * (MOST - 2), []],
)
@pytest.mark.parametrize("ascii_", [True, False])
def test_what_is_right_is_read_and_can_be_sent_again(value: Any, ascii_: bool) -> None:
    read = json_text.read(json.dumps(value, ensure_ascii=ascii_), MOST)
    assert read == value
    assert orjson.loads(orjson.dumps(read)) == value


def test_a_text_that_is_too_long_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text.parts, "fault_of_text", lambda _: pytest.fail("looked at"))
    with pytest.raises(BadInput, match="10 characters"):
        json_text.read("[" * 11, 10)
