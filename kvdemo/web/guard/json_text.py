"""Read JSON that a visitor sent as a text, as what a hidden field holds: judged before it is parsed.

The guard counts what stands beside the texts of a request (`parts`), so within such a text anything may stand.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from kvdemo.core.errors import BadInput
from kvdemo.web.guard import parts

TOO_LONG = "The JSON has more than {most:,} characters: send less."
UNREADABLE = "The JSON cannot be read: check how it is written."
NO_NUMBER = "The JSON has a number that is not finite, or of more than 64 bits: send another."
NO_TEXT = "The JSON has half of a character: send whole ones."
#: A whole number of 64 bits, with its sign, has no more characters.
_MOST_DIGITS = 20


class NoJSON(BadInput):
    """Tells that a text is no JSON."""


def read(text: str, most: int) -> Any:
    """Read a JSON text of at most `most` characters. What is returned can be sent as JSON by any library.

    Raises BadInput for one that is longer, has too much in it or is too deep (`parts`), is no JSON, or has a number or
    a character that is none.
    """
    if len(text) > most:
        raise BadInput(TOO_LONG.format(most=most))
    if refused := parts.fault_of_text(text):
        raise BadInput(refused[1])
    try:
        value = json.loads(text, parse_int=_whole, parse_float=_finite, parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False).encode()  # escapes may make half a character, in keys too
    except UnicodeEncodeError:
        raise BadInput(NO_TEXT) from None
    except json.JSONDecodeError:
        raise NoJSON(UNREADABLE) from None
    return value


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS or not -(2**63) <= (value := int(digits)) < 2**63:
        _no_number(digits)
    return value


def _finite(digits: str) -> float:
    return value if math.isfinite(value := float(digits)) else _no_number(digits)


def _no_number(_: str) -> NoReturn:
    raise BadInput(NO_NUMBER)
