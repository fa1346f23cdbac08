"""Check single values from a form, a URL or a program. Each function returns the value or raises BadInput.

`called` is what the sentence calls the value. By hand and not by pydantic, because a machine that only measures has
none, and each sentence names the setting, its bounds and a remedy.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from kvdemo.core.errors import BadInput

#: Characters that a setting takes unless it declares another number: a folder's path has 4,096 at the most, and a lane
#: with such a draft model some hundred more. What is longer is refused before anything reads it.
LONGEST = 5_000
#: Bits of a whole number that is written in full.
MOST_BITS = 10_000


class _Beginning(reprlib.Repr):
    """Writes the beginning of a value."""

    def repr_int(self, value: int, level: int) -> str:
        """Write a whole number; Python writes none of more than some thousand digits."""
        return "a number of thousands of digits" if value.bit_length() > MOST_BITS else super().repr_int(value, level)


#: How much of a value a message may look at. More than it quotes, so that what it cuts off is never written.
_BEGINNING = _Beginning()
_BEGINNING.maxstring = _BEGINNING.maxother = 200
_BEGINNING.maxlist = _BEGINNING.maxtuple = 60
_BEGINNING.maxlevel = 3


def short(called: str, value: Any, longest: int) -> None:
    """Refuse a text of more than so many characters, or more entries and texts at any depth of a value, unread."""
    size, left = 0, [value]
    while left and size <= longest:
        one = left.pop()
        if isinstance(one, str | list | tuple | Mapping):
            size += len(one)
        if isinstance(one, Mapping):
            left += [*one, *one.values()]
        elif isinstance(one, list | tuple):
            left += one
    if size > longest:
        raise BadInput(f"At most {longest:,} characters are read of the {called}: shorten what you give.")


def few(called: str, items: Sequence[Any], most: int, where: str) -> None:
    """Refuse more entries than so many, unread."""
    if len(items) > most:
        raise BadInput(f"{len(items):,} {called} are too many{where}: choose at most {most:,}.")


def is_text(called: str, value: Any) -> None:
    """Refuse what is no text, unread."""
    if not isinstance(value, str):
        raise BadInput(f"The {called} must be text, not {show(value)}.")


def text(called: str, value: Any) -> str:
    """Check that a value is text with whole characters."""
    is_text(called, value)
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

    Python reads these as numbers, and a user cannot be sure as which.
    """
    if not text.isascii() or "_" in text:
        raise ValueError("is not written in plain digits")
    return text


SWITCHES = {"1": True, "true": True, "on": True, "yes": True, "0": False, "false": False, "off": False, "no": False}


def switch(called: str, value: Any) -> bool:
    """Read true or false, or a word for it."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, str | int) else ""
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


def several(called: str, value: Any, choices: Sequence[str]) -> tuple[str, ...]:
    """Read at least one of some words, each once, from a list or a text with commas; in the order of the choices."""
    words = value.split(",") if isinstance(value, str) else value
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
    specs = value.split(",") if isinstance(value, str) else value
    if not isinstance(specs, list | tuple) or not all(isinstance(spec, str) for spec in specs):
        raise BadInput(f"The strategies must be a list of names, not {show(value)}.")
    names = tuple(name for spec in specs if (name := spec.strip()))
    if not names:
        raise BadInput("No strategy is chosen: choose at least one.")
    few("strategies", names, most, " for one race")
    return names


def lengths(called: str, value: Any, high: int, most: int) -> tuple[int, ...]:
    """Read lengths in tokens from "16,128" or a list, at most `most` of them; returns each once, in order."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, Sequence):
        raise BadInput(f"The {called} must be whole numbers with commas between them, not {show(value)}.")
    written = [item for item in items if item != ""]
    few(called, written, most, " for one sweep")
    return tuple(sorted({whole(f"entry of the {called}", item, 1, high) for item in written}))


def ids(called: str, value: Any, high: int, most: int) -> tuple[int, ...]:
    """Read ids of tokens in their order, from "464,2068" or a list; no more than `most` of them."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise BadInput(f"The {called} must be ids of tokens with commas between them, not {show(value)}.")
    if len(items) > most:
        raise BadInput(f"{len(items):,} {called} are too many: send at most {most:,}.")
    return tuple(whole(f"entry of the {called}", item, 0, high) for item in items)


def show(value: Any) -> str:
    """Write a value as a message may quote it: short, and printable whatever it holds."""
    shown = _BEGINNING.repr(value).encode("ascii", "backslashreplace").decode()  # as `ascii` does
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
