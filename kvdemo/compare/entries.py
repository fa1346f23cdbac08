"""Define the entries of a document that a comparison looks at, as types.

Whatever else a document holds is not looked at, so that documents of earlier versions are read too.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, NotRequired

from pydantic import BeforeValidator, FailFast, Field, GetCoreSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from typing_extensions import TypedDict

from kvdemo.compare.facts import FACTS
from kvdemo.compare.validation import MOST_OPTIONS

MOST_SECONDS = 1e9
MOST_TOKENS = 1_000_000_000


class MustBe:
    """States what a value must be, in place of pydantic's own message."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.custom_error_schema(handler(source), "must_be", custom_error_message=f"must be {self.what}")


_SMALL = Field(gt=-(10**20), lt=10**20)
Stated = Annotated[
    str | bool | Annotated[int, _SMALL] | Annotated[float, _SMALL] | None,
    MustBe("a text or a number of at most 20 digits"),
]
Text = Annotated[str, MustBe("a text")]
TokenId = Annotated[int, MustBe("a token's id")]
Count = Annotated[int, Field(ge=0, le=MOST_TOKENS), MustBe(f"a whole number from 0 to {MOST_TOKENS:,}")]
Seconds = Annotated[float, Field(ge=0, le=MOST_SECONDS), MustBe(f"a number of seconds from 0 to {MOST_SECONDS:,.0f}")]


def _few(value: Any) -> Any:
    """Refuse too many entries before the first of them is looked at."""
    if isinstance(value, dict) and len(value) > MOST_OPTIONS:
        raise PydanticCustomError("too_many", "too many")
    return value


Options = Annotated[dict[str, Stated], BeforeValidator(_few)]


class Step(TypedDict):
    """A step of a raced lane."""

    tokens: Count
    seconds: Seconds


class Run(TypedDict):
    """A run of a measured lane."""

    tokens: Count
    e2e_s: Seconds
    ttft_s: NotRequired[Seconds | None]
    tpot_s: NotRequired[Seconds | None]
    level_s: NotRequired[Seconds | None]


class Lane(TypedDict):
    """A lane of either kind of document. A race states its settings, a measurement has them in `strategy`, a spec."""

    strategy: Annotated[str, Field(min_length=1), MustBe("a strategy's id")]
    options: NotRequired[Options]
    sampling: NotRequired[Options]


class RacedLane(Lane):
    """A lane of a race."""

    steps: Annotated[list[Step], FailFast()]


class MeasuredLane(Lane):
    """A lane of a measurement."""

    runs: Annotated[list[Run], FailFast()]


RacedLanes = Annotated[list[RacedLane], Field(min_length=1), FailFast()]
MeasuredLanes = Annotated[list[MeasuredLane], Field(min_length=1), FailFast()]


def _section(name: str, **more: Any) -> Any:
    """Make the type of a section from the facts that it states."""
    made: Any = TypedDict  # a type checker knows it as a class to inherit from
    return made(name, {fact.key: NotRequired[Stated] for fact in FACTS if fact.section == name} | more)


@cache
def adapter(kind: Literal["race", "measure"]) -> TypeAdapter[Any]:
    """Make what checks a kind of document. A list is left at its first fault: a file may hold millions of them."""
    made: Any = TypedDict
    document = made(
        "Document",
        {
            "environment": _section("environment"),
            "model": _section("model", id=Text),
            "prompt": _section("prompt", text=Text, tokens=Annotated[list[TokenId], FailFast()]),
            "settings": _section("settings"),
            "lanes": RacedLanes if kind == "race" else MeasuredLanes,
        },
    )
    return TypeAdapter(document)
