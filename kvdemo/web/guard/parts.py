"""Refuse a body of so many values, or so deep, that reading it would keep the server from everybody else.

Whatever reads JSON makes an object of each value, and walks all of them several times, in the loop that answers all
visitors. Here texts are only cut out and signs counted, which takes a hundredth of a second for the largest body.
"""

from __future__ import annotations

import json
import re
from itertools import accumulate

#: Brackets, braces and commas outside of texts, several times what the page sends: 1,024 ids of tokens and a form.
MOST_SIGNS = 4_000
#: Characters outside of texts: as many values, written with room between them.
MOST_BESIDE = 100_000
#: Lists and objects within one another. A file in a form is at the fourth.
MOST_DEPTH = 50
TOO_MANY = "The request has too much beside its texts: send fewer values, or shorter lists and numbers."
TOO_DEEP = (
    f"The request has more than {MOST_DEPTH} lists or objects within one another: send values that are less deep."
)
_SIGNS = re.compile(r"[\[\]{},]")


def fault(body: bytes) -> tuple[int, str] | None:
    """Return the code and the sentence with which a body is refused; None for one that may be read."""
    try:
        text = body.decode(json.detect_encoding(body), "surrogatepass")  # as Python's JSON does
    except UnicodeDecodeError:
        return None  # it says so itself, before it makes anything
    return fault_of_text(text)


def fault_of_text(text: str) -> tuple[int, str] | None:
    """Return the code and the sentence with which a text that may be JSON is refused; None for one that may be read."""
    quotes = 4 * MOST_SIGNS  # two for each text, and a sign for two of those, a key and its value
    pieces = text.replace("\\\\", "").replace('\\"', "").split('"', quotes)
    beside = "".join(pieces[::2])
    if len(pieces) > quotes or len(beside) > MOST_BESIDE:
        return 413, TOO_MANY
    signs = _SIGNS.findall(beside)
    if len(signs) > MOST_SIGNS:
        return 413, TOO_MANY
    if max(accumulate(1 if sign in "[{" else -1 for sign in signs), default=0) > MOST_DEPTH:
        return 400, TOO_DEEP
    return None
