"""Find the strategies of a package by reading its sources (`kvdemo.core.python_source`); nothing is imported."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import get_type_hints

from kvdemo.core.picture import Picture
from kvdemo.core.python_source.classes import Sources, modules
from kvdemo.core.types import Option

_BASE = "kvdemo.strategies.base.Strategy"
# An id is a word of a lane's spec, where colons and commas have a meaning.
_ID = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class StrategyInfo:
    """What a strategy states about itself, and where its class is. `description` is the class docstring."""

    id: str
    name: str
    summary: str
    lossless: bool
    description: str
    module: str
    options: Mapping[str, Option] = field(default_factory=dict, hash=False)
    elsewhere: bool = False
    class_name: str = ""
    recomputes: bool = False
    searches: bool = False
    rows_from: str = ""
    prefills_once: bool = False
    drafts_from: str = ""
    eager: bool = True
    keeps_prefix: bool = False
    samples: bool = True
    picture: Picture | None = None


#: What a class states as literals, and what kind of literal that is.
_ATTRIBUTES = {
    name: kind
    for name, kind in get_type_hints(StrategyInfo).items()
    if name not in {"description", "module", "class_name", "options", "picture"}
}


def discover(module: str) -> dict[str, StrategyInfo]:
    """Find the strategies in a module, or in a package's files and folders, by id; nothing is imported.

    A strategy is a concrete subclass of `Strategy` that has an id. A helper base is none: it is abstract, has no id, or
    only has the id of the strategy that it extends. Files with a leading underscore hold shared pieces. Raises
    ImportError, with the file's name, for a file that cannot be read, for attributes that are no literals, and for two
    strategies with one id.
    """
    sources = Sources(module)
    found: dict[str, StrategyInfo] = {}
    for name in modules(module):
        for introduction in _introductions(sources, name):
            if introduction.id in found:
                raise ImportError(f"two strategies are called {introduction.id!r}: {name} is the second")
            found[introduction.id] = introduction
    return dict(sorted(found.items()))


def _introductions(sources: Sources, module: str) -> Iterator[StrategyInfo]:
    """Yield the strategies of one file, in its order."""
    for made in sources.concrete(module, _BASE):
        literals = {name: sources.literal(module, made, name, kind) for name, kind in _ATTRIBUTES.items()}
        if not _ID.fullmatch(literals["id"]):
            raise ImportError(f"{module}: {literals['id']!r} is no id: write letters, digits, _ and -")
        yield StrategyInfo(
            **literals, description=inspect.getdoc(made) or "", module=module, class_name=made.__name__,
            options=sources.options(module, made), picture=sources.call(module, made, "picture", Picture),
        )  # fmt: skip
