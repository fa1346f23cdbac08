"""Read and check a document from a file of unknown origin; refuse in one sentence what is no document.

Afterwards every entry that a comparison looks at is there, has its type, and is a sane finite number.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

from kvdemo.core.errors import BadInput
from kvdemo.core.measure_settings import stated
from kvdemo.documents.common import SCHEMA

MOST_BYTES = 64_000_000
MOST_LANES = 64
MOST_SECONDS = 1e9
MOST_TOKENS = 1_000_000_000
LONGEST_TEXT = 120

Document = Mapping[str, Any]


class Field(NamedTuple):
    """Something that both files state; `work` if a difference in it makes the times those of different work."""

    name: str
    section: str
    key: str
    work: bool = False


FIELDS = (
    Field("model", "model", "id", work=True),
    Field("model revision", "model", "revision", work=True),
    Field("prompt", "prompt", "tokens", work=True),
    *(Field(setting.called, "settings", key, setting.work) for key, setting in stated().items()),
    Field("dtype", "model", "dtype"),
    Field("device", "model", "device"),
    Field("GPU", "environment", "gpu"),
    Field("CPU", "environment", "cpu"),
    Field("thread count", "environment", "threads"),
    Field("waiting of OpenMP's threads", "environment", "openmp"),
    Field("attention backend", "environment", "attention"),
    Field("attention kernels", "environment", "attention_line"),
    Field("precision of float32 products", "environment", "float32_matmul"),
    Field("PyTorch version", "environment", "torch"),
    Field("transformers version", "environment", "transformers"),
    Field("CUDA version", "environment", "cuda"),
    Field("driver", "environment", "driver"),
    Field("Python version", "environment", "python"),
    Field("platform", "environment", "platform"),
    Field("kvdemo version", "environment", "kvdemo"),
    Field("git revision", "environment", "git_revision"),
)


def load(text: str | bytes) -> dict[str, Any]:
    """A document from a file's content. Raises BadInput for what is not one, naming what is wrong with it."""
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
    _check_facts(document)
    _check_lanes(document["lanes"] if "lanes" in document else _wrong("lanes", "is missing"), kind)
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


def _check_facts(document: Document) -> None:
    for section in ("environment", "model", "prompt", "settings"):
        if not isinstance(document.get(section), dict):
            _wrong(section, "is missing" if section not in document else "must be an object")
    for _, section, key, _work in FIELDS:
        value = document[section].get(key)
        if key != "tokens" and not (value is None or isinstance(value, str | bool | int | float)):
            _wrong(f"{section}.{key}", f"must be a text or a number, not {_kind(value)}")
        if isinstance(value, int) and abs(value) >= 10**20:
            _wrong(f"{section}.{key}", f"must not be {_show(value)}")
    tokens = document["prompt"].get("tokens")
    if not isinstance(tokens, list) or not all(type(token) is int for token in tokens):
        _wrong("prompt.tokens", "must be a list of token ids")
    for section, key in (("model", "id"), ("prompt", "text")):
        if not isinstance(document[section].get(key), str):
            _wrong(f"{section}.{key}", "must be a text")


def _check_lanes(lanes: Any, kind: str) -> None:
    if not isinstance(lanes, list) or not lanes:
        _wrong("lanes", "must be a list with at least one lane")
    if len(lanes) > MOST_LANES:
        raise BadInput(f"The file has {len(lanes):,} lanes, more than the {MOST_LANES} that can be compared.")
    part = "runs" if kind == "measure" else "steps"
    check = _check_run if kind == "measure" else _check_step
    for number, lane in enumerate(lanes):
        path = f"lanes[{number}]"
        if not isinstance(lane, dict):
            _wrong(path, "must be an object")
        if not isinstance(lane.get("strategy"), str) or not lane["strategy"]:
            _wrong(f"{path}.strategy", "must be a strategy's id")
        if not isinstance(lane.get(part), list):
            _wrong(f"{path}.{part}", "must be a list")
        for index, entry in enumerate(lane[part]):
            if not isinstance(entry, dict):
                _wrong(f"{path}.{part}[{index}]", "must be an object")
            check(entry, f"{path}.{part}[{index}]")


def _check_run(run: Mapping[str, Any], path: str) -> None:
    _check_count(run, path)
    _check_seconds(run, "e2e_s", path)
    for name in ("ttft_s", "tpot_s", "level_s"):
        if run.get(name) is not None:
            _check_seconds(run, name, path)


def _check_step(step: Mapping[str, Any], path: str) -> None:
    _check_count(step, path)
    _check_seconds(step, "seconds", path)


def _check_count(entry: Mapping[str, Any], path: str) -> None:
    tokens = entry.get("tokens")
    if type(tokens) is not int or not 0 <= tokens <= MOST_TOKENS:
        _wrong(f"{path}.tokens", f"must be a whole number from 0 to {MOST_TOKENS:,}, not {_show(tokens)}")


def _check_seconds(entry: Mapping[str, Any], name: str, path: str) -> None:
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_SECONDS:
        _wrong(f"{path}.{name}", f"must be a number of seconds from 0 to {MOST_SECONDS:,.0f}, not {_show(value)}")


def _wrong(path: str, what: str) -> NoReturn:
    raise BadInput(f"The file is not a document that can be compared: {path} {what}.")


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", type(None): "null", bool: "true or false"}
    return names.get(type(value), "a number")


def _show(value: Any) -> str:
    """A value as a message may quote it. A list or an object is named, not written out: it may be endless."""
    if isinstance(value, dict | list) or value is None:
        return _kind(value)
    if isinstance(value, int) and abs(value) >= 10**20:
        return "a number of more than 20 digits"
    shown = ascii(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def plain(text: str) -> str:
    """Text from a file, fit for a page and a terminal: printable, on one line, and short."""
    text = "".join(char if char.isprintable() else " " for char in text[: LONGEST_TEXT + 1])
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
