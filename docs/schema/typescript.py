"""Write what Python hands to the browser as TypeScript types, which the checker of the browser's code reads.

There is a namespace for each kind of document, named as its Python module is: `race.Lane` is
`kvdemo.documents.race.Lane`. `core` has the records that reach the page as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from kvdemo.core.picture import Picture
from kvdemo.core.types import LaneInfo, Option
from kvdemo.documents import schema
from kvdemo.strategies.registry import StrategyInfo

FILE = Path(__file__).parents[2] / "kvdemo" / "web" / "frontend" / "documents.d.ts"
Schema = Mapping[str, Any]
_HEAD = "// What Python hands to the browser, as types. This file is written: python -m docs.schema.write\n"
_NAMES = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def declarations() -> str:
    """Write the text of the file of types."""
    lines = [_HEAD]
    for kind in schema.KINDS:
        root = json.loads(schema.published(kind))
        lines += _namespace(kind, {**root["$defs"], root["title"]: root})
    return "\n".join([*lines, *_namespace("core", _records())])


def _records() -> Mapping[str, Schema]:
    """Return the schemas of the records. Older pydantic leaves out a record's docstring; every field is given."""
    schemas = TypeAdapter(tuple[LaneInfo, StrategyInfo]).json_schema(mode="serialization")["$defs"]
    described = {record.__name__: record.__doc__ for record in (LaneInfo, StrategyInfo, Option, Picture)}
    return {
        name: {**schema, "description": described[name], "required": list(schema["properties"])}
        for name, schema in schemas.items()
    }


def _namespace(name: str, parts: Mapping[str, Schema]) -> Iterator[str]:
    yield f"declare namespace {name} {{"
    for title, part in parts.items():
        yield f"  /** {part.get('description', title).splitlines()[0].replace('*/', '')} */"
        yield f"  interface {title} {{"
        for key, value in part["properties"].items():
            yield f"    {key}{'' if key in part.get('required', ()) else '?'}: {_type(value)};"
        yield "  }"
    yield "}\n"


def _type(part: Schema) -> str:
    """Write a schema's type. Raises ValueError for a construct that nothing has used so far."""
    match part:
        case {"$ref": reference}:
            written = reference.rpartition("/")[2]
        case {"const": value}:
            written = json.dumps(value)
        case {"enum": values}:
            written = " | ".join(map(json.dumps, values))
        case {"anyOf": parts}:
            written = " | ".join(map(_type, parts))
        case {"type": "object", "additionalProperties": value}:
            written = f"Record<string, {_type(value)}>"
        case {"type": "array", "prefixItems": items}:
            written = f"[{', '.join(map(_type, items))}]"
        case {"type": "array", "items": item}:
            written = f"({_type(item)})[]"
        case {"type": name} if name in _NAMES:
            written = _NAMES[name]
        case _:
            raise ValueError(f"no type is known for {part}")
    return written
