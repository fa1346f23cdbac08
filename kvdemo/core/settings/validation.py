"""Check single values from a form, a URL or a program. Each function returns the value or raises BadInput.

`called` is what the sentence calls the value. By hand and not by pydantic, because a machine that only measures has
none, and each sentence names the setting, its bounds and a remedy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kvdemo.core.errors import BadInput

#: Entries of a list, blank and equal ones too, where the list itself has no limit or a smaller one. They are counted
#: before anything takes a text apart: of one of some megabytes that takes a second.
MOST_ENTRIES = 1_000
#: Characters of a lane with its settings, one of which may be a folder.
MOST_SPEC = 5_000
#: Characters of a number: more than any has that is written in full.
MOST_DIGITS = 1_000
#: Characters of a value that a message quotes.
MOST_QUOTED = 60


def text(called: str, value: Any) -> str:
    """Check that a value is text with whole characters."""
    if not isinstance(value, str):
        raise BadInput(f"The {called} must be text, not {show(value)}.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        code = f"U+{ord(value[error.start]):04X}"
        raise BadInput(
            f"The {called} holds half of a character ({code}, at position {error.start + 1}): "
            "delete it or paste the text again."
        ) from None
    return value


def whole(called: str, value: Any, low: int, high: int) -> int:
    """Read a whole number from `low` to `high`, or its digits."""
    try:
        if isinstance(value, bool):
            raise TypeError
        count = int(plain_digits(value)) if isinstance(value, str) else value
        if count != int(count) or not low <= count <= high:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise BadInput(f"The {called} must be a whole number from {low:,} to {high:,}, not {show(value)}.") from None
    return int(count)


def number(called: str, value: Any, low: float, high: float, above_low: str = "") -> float:
    """Read a number from `low` to `high`, or its digits; with `above_low`, which says why, `low` itself is refused."""
    try:
        if isinstance(value, bool):
            raise TypeError
        converted = float(plain_digits(value) if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        converted = math.nan
    if not low <= converted <= high:
        raise BadInput(f"The {called} must be a number from {low:,.15g} to {high:,.15g}, not {show(value)}.")
    if above_low and converted == low:
        raise BadInput(f"The {called} must be above {low:,.15g}: {above_low}.")
    return converted


def plain_digits(text: str) -> str:
    """Return a text that may be a number. Raises ValueError for 1_000 and for digits of other scripts.

    Python reads these as numbers, and a user cannot be sure as which. One of more than `MOST_DIGITS` is not read.
    """
    if len(text) > MOST_DIGITS:
        raise ValueError("is too long for a number")
    if not text.isascii() or "_" in text:
        raise ValueError("is not written in plain digits")
    return text


SWITCHES = {"1": True, "true": True, "on": True, "yes": True, "0": False, "false": False, "off": False, "no": False}


def switch(called: str, value: Any) -> bool:
    """Read true or false, or a word for it."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in SWITCHES:
        raise BadInput(f"The {called} must be true or false, not {show(value)}.")
    return SWITCHES[word]


def choice(called: str, value: Any, choices: Sequence[str], spelt: Mapping[str, str]) -> str:
    """Read one of some words, or another spelling of it, in capital or small letters."""
    if isinstance(value, str):
        word = value.strip().lower()
        for known in (value, word, spelt.get(word)):
            if known in choices:
                return str(known)
    offered = " or ".join(choices) if len(choices) < 4 else f"one of {', '.join(choices)}"
    raise BadInput(f"There is no {called} {show(value)}: choose {offered}.")


def _entries(called: str, value: Any, most: int) -> Any:
    """Take a text with commas apart; anything else is returned as it is. Raises BadInput for too many entries."""
    count = value.count(",") + 1 if isinstance(value, str) else len(value) if isinstance(value, Sequence) else 0
    if count > most:
        raise BadInput(f"{count:,} {called} are too many: send at most {most:,}.")
    return value.split(",") if isinstance(value, str) else value


def several(called: str, value: Any, choices: Sequence[str]) -> tuple[str, ...]:
    """Read at least one of some words, each once, from a list or a text with commas; in the order of the choices."""
    words = _entries(called, value, MOST_ENTRIES)
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise BadInput(f"The {called} must be a list of names, not {show(value)}.")
    named = {word.strip().lower() for word in words} - {""}
    if unknown := named - set(choices):
        raise BadInput(f"{show(min(unknown))} is none of the {called}: choose from {', '.join(choices)}.")
    if not named:
        raise BadInput(f"None of the {called} is chosen: choose from {', '.join(choices)}.")
    return tuple(word for word in choices if word in named)


def lanes(value: Any, most: int) -> tuple[str, ...]:
    """Read specs of strategies, from a list or a text with commas between them; at least one, at most `most`."""
    specs = _entries("strategies", value, MOST_ENTRIES)
    if not isinstance(specs, list | tuple) or not all(isinstance(spec, str) for spec in specs):
        raise BadInput(f"The strategies must be a list of names, not {show(value)}.")
    names = tuple(name for spec in specs if (name := spec.strip()))
    if not names:
        raise BadInput("No strategy is chosen: choose at least one.")
    if len(names) > most:
        raise BadInput(f"{len(names)} strategies are too many for one race: choose at most {most}.")
    return names


def lengths(called: str, value: Any, high: int, most: int) -> tuple[int, ...]:
    """Read distinct lengths in tokens, in order, from "16,128" or a list; at most `most` of them."""
    items = _entries(called, value, MOST_ENTRIES)
    if not isinstance(items, Sequence):
        raise BadInput(f"The {called} must be whole numbers with commas between them, not {show(value)}.")
    distinct = {whole(f"entry of the {called}", item, 1, high) for item in items if item != ""}
    if len(distinct) > most:
        raise BadInput(f"{len(distinct)} {called} are too many for one sweep: choose at most {most}.")
    return tuple(sorted(distinct))


def ids(called: str, value: Any, high: int, most: int) -> tuple[int, ...]:
    """Read ids of tokens in their order, from "464,2068" or a list; no more than `most` of them."""
    items = _entries(called, value, most)
    if not isinstance(items, list | tuple):
        raise BadInput(f"The {called} must be ids of tokens with commas between them, not {show(value)}.")
    return tuple(whole(f"entry of the {called}", item, 0, high) for item in items)


def show(value: Any) -> str:
    """Write a value as a message may quote it: short, and printable whatever it holds; no more of it is looked at."""
    shown = ""
    for piece in _pieces(value):
        shown += piece
        if len(shown) > MOST_QUOTED:
            return f"{shown[: MOST_QUOTED - 3]}..."
    return shown


def _pieces(value: Any) -> Iterator[str]:
    """Write a value as `ascii` does, piece by piece; of a text only what can be quoted."""
    if isinstance(value, str):
        yield ascii(value[: MOST_QUOTED + 1])
    elif isinstance(value, list | tuple):
        start, end = ("[", "]") if isinstance(value, list) else ("(", ",)" if len(value) == 1 else ")")
        yield start
        for place, entry in enumerate(value):
            yield ", " if place else ""
            yield from _pieces(entry)
        yield end
    elif isinstance(value, dict):
        yield "{"
        for place, (key, entry) in enumerate(value.items()):
            yield ", " if place else ""
            yield from _pieces(key)
            yield ": "
            yield from _pieces(entry)
        yield "}"
    elif isinstance(value, int) and value.bit_length() > 10_000:  # Python writes no more than some thousand digits
        yield "a number of thousands of digits"
    else:
        yield ascii(value)
