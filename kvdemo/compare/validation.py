"""Read and check a document from a file of unknown origin; refuse in one sentence what is no document.

Afterwards every entry that a comparison looks at is there, has its type, and is a sane finite number
(`kvdemo.compare.entries`, checked by pydantic). JSON, schema and kind are checked by hand, because pydantic's parser
cannot name NaN, an endless number or the line of a fault.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from kvdemo.core.errors import BadInput
from kvdemo.documents.common import SCHEMA

if TYPE_CHECKING:
    from pydantic import ValidationError

MOST_BYTES = 64_000_000
MOST_LANES = 64
MOST_OPTIONS = 64
LONGEST_TEXT = 120

Document = Mapping[str, Any]


def load(text: str | bytes) -> dict[str, Any]:
    """Read a document from a file's content. Raises BadInput for what is not one, naming what is wrong with it."""
    # Not with this module: what lists commands imports it on a machine that only measures, which has no pydantic.
    from pydantic import ValidationError  # noqa: PLC0415

    from kvdemo.compare import entries  # noqa: PLC0415

    document = _parse(text)
    if not isinstance(document, dict):
        raise BadInput(f"The file holds {_kind(document)}, not a document: choose a JSON file that kvdemo exported.")
    schema = document.get("schema")
    if schema is None:
        raise BadInput("The file names no schema: choose a JSON file that kvdemo exported.")
    if type(schema) is not int or schema != SCHEMA:
        raise BadInput(f"The file has schema {_show(schema)}, and this version reads schema {SCHEMA}: export it again.")
    kind = document.setdefault("kind", "race")
    if kind not in ("race", "measure"):
        raise BadInput(f"The file is of the kind {_show(kind)}: choose the JSON of a race or of a measurement.")
    lanes = document.get("lanes")
    if isinstance(lanes, list) and len(lanes) > MOST_LANES:
        raise BadInput(f"The file has {len(lanes):,} lanes, more than the {MOST_LANES} that can be compared.")
    try:
        entries.adapter(kind).validate_python(document, strict=True)
    except ValidationError as error:
        raise BadInput(
            f"The file is no document that can be compared ({_fault(error)}): choose a JSON file that kvdemo exported."
        ) from None
    return document


def _parse(text: str | bytes) -> Any:
    if len(text) > MOST_BYTES:
        raise BadInput(f"The file is larger than {MOST_BYTES // 10**6} MB: choose a smaller one.")
    try:
        text = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
        return json.loads(text, parse_constant=_not_a_number, parse_float=_finite)
    except UnicodeDecodeError:
        raise BadInput("The file is not UTF-8 text: choose a JSON file that kvdemo exported.") from None
    except json.JSONDecodeError as error:
        raise BadInput(f"The file is not JSON (line {error.lineno}: {error.msg}).") from None
    except RecursionError:
        raise BadInput("The file is nested too deeply: choose a JSON file that kvdemo exported.") from None
    except BadInput:
        raise
    except ValueError:  # what is left is Python's limit on the digits of a whole number
        raise BadInput("The file holds a number with thousands of digits.") from None


def _not_a_number(constant: str) -> NoReturn:
    raise BadInput(f"The file holds {constant}, which is not a number that can be compared.")


def _finite(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _not_a_number(plain(digits))


#: What pydantic calls a fault, and what a sentence does.
_FAULTS = {
    "missing": "is missing",
    "dict_type": "must be an object",
    "list_type": "must be a list",
    "too_short": "must be a list with at least one lane",
    "too_many": f"must have at most {MOST_OPTIONS} settings",
}


def _fault(error: ValidationError) -> str:
    """Name the first fault: where it is, what must be there, and what is there instead."""
    fault = error.errors(include_url=False)[0]
    names = (f"[{part}]" if isinstance(part, int) else f".{plain(part)[:40]}" for part in fault["loc"])
    path = "".join(names).lstrip(".")
    if fault["type"] in _FAULTS:
        return f"{path} {_FAULTS[fault['type']]}"
    return f"{path} {fault['msg']}, not {_show(fault['input'])}"


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", type(None): "null", bool: "true or false"}
    return names.get(type(value), "a number")


def _show(value: Any) -> str:
    """Quote a value as a message may. A list or an object is named, not written out: it may be endless."""
    if isinstance(value, dict | list) or value is None:
        return _kind(value)
    if isinstance(value, int) and abs(value) >= 10**20:
        return "a number of more than 20 digits"
    shown = ascii(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def plain(text: str) -> str:
    """Make text from a file fit for a page and a terminal: printable, on one line, and short."""
    text = "".join(char if char.isprintable() else " " for char in text[: LONGEST_TEXT + 1])
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
