"""Single values from a form, a URL or a program, checked. Each function returns the value or raises BadInput."""

from __future__ import annotations

import math
from typing import Any

from kvdemo.core.types import BadInput


def text(name: str, value: Any) -> str:
    """A text as it is."""
    if not isinstance(value, str):
        raise BadInput(f"The {name} must be text, not {show(value)}.")
    return value


def whole(name: str, value: Any, low: int, high: int) -> int:
    """A whole number from `low` to `high`, or its digits."""
    try:
        if isinstance(value, bool):
            raise TypeError
        count = int(value) if isinstance(value, str) else value
        if count != int(count):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise BadInput(f"The {name} must be a whole number from {low:,} to {high:,}, not {show(value)}.") from None
    if not low <= count <= high:
        raise BadInput(f"The {name} must be a whole number from {low:,} to {high:,}, not {show(value)}.")
    return int(count)


def number(name: str, value: Any, low: float, high: float) -> float:
    """A number from `low` to `high`, or its digits."""
    try:
        if isinstance(value, bool):
            raise TypeError
        converted = float(value)
    except (TypeError, ValueError, OverflowError):
        converted = math.nan
    if not low <= converted <= high:
        raise BadInput(f"The {name} must be a number from {low:g} to {high:g}, not {show(value)}.")
    return converted


SWITCHES = {"1": True, "true": True, "on": True, "yes": True, "0": False, "false": False, "off": False, "no": False}


def switch(name: str, value: Any) -> bool:
    """True or false, or a word for it."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in SWITCHES:
        raise BadInput(f"The setting {name} must be true or false, not {show(value)}.")
    return SWITCHES[word]


def show(value: Any) -> str:
    """A value as a message may quote it: short, and printable whatever it holds."""
    shown = ascii(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
