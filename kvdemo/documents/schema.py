"""Write the JSON Schemas of the documents, and check a document against its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, with_config
from pydantic.json_schema import GenerateJsonSchema

from kvdemo.documents.comparison import ComparisonDocument
from kvdemo.documents.inside import InsideDocument
from kvdemo.documents.measure import MeasureDocument
from kvdemo.documents.plan import PlanDocument
from kvdemo.documents.race import RaceDocument

Kind = Literal["race", "measure", "plan", "comparison", "inside"]
KINDS: dict[Kind, Any] = {
    "race": RaceDocument,
    "measure": MeasureDocument,
    "plan": PlanDocument,
    "comparison": ComparisonDocument,
    "inside": InsideDocument,
}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: No key but those described, no number in quotes, no NaN. It holds for the parts of a document too.
_EXACT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class _Untitled(GenerateJsonSchema):
    """Without a title for each key, which would say the key again."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


@cache
def _adapter(kind: Kind) -> TypeAdapter[Any]:
    return TypeAdapter(with_config(_EXACT)(KINDS[kind]))


def check(document: Mapping[str, Any]) -> None:
    """Check a document of any kind as it stands in a file. Raises pydantic.ValidationError, which names each fault."""
    text = json.dumps(document, allow_nan=False)
    _adapter(document.get("kind", "race")).validate_json(text)


def published(kind: Kind) -> str:
    """Return the JSON Schema of a kind of document, as the text of its file in docs/schema."""
    schema = {"$schema": _DIALECT, **_adapter(kind).json_schema(schema_generator=_Untitled)}
    return json.dumps(schema, indent=2) + "\n"
