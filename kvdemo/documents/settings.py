"""Derive the "settings" of a document from their declarations: a further setting stands in the schema by itself."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema
from typing_extensions import TypedDict

from kvdemo.core.settings.declaration import Setting, in_documents
from kvdemo.core.types import VALUES


class SettingsOf:
    """Marks a dictionary as the recorded settings of a class; `more` are keys that the document adds."""

    def __init__(self, cls: type[Any], **more: Any) -> None:
        self.keys = {name: _typed(one) for name, one in in_documents(cls).items()} | more

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        made: Any = TypedDict  # a type checker knows it as a class to inherit from
        return handler.generate_schema(made("Settings", self.keys))


def _typed(one: Setting) -> Any:
    bounds: dict[str, Any] = {"ge": one.low, "le": one.high} if one.kind in ("whole", "number") else {}
    return Annotated[VALUES[one.kind], Field(description=one.about, **bounds)]
