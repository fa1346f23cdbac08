"""Find the samplers of this package by reading their sources; nothing is imported."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, get_type_hints

from kvdemo.core.python_source.classes import Sources, modules
from kvdemo.core.settings.race import race_option
from kvdemo.core.types import Option

if TYPE_CHECKING:
    from kvdemo.samplers.base import Sampler

_PACKAGE = __name__.rpartition(".")[0]
_BASE = f"{_PACKAGE}.base.Sampler"
#: Race-wide settings that are no sampler's, and that a lane may have of its own.
SEED = "seed"


@dataclass(frozen=True, slots=True)
class SamplerInfo:
    """What a sampler states about itself, and where its class is. `description` is the class docstring."""

    id: str
    name: str
    summary: str
    place: int
    description: str
    module: str
    class_name: str
    greedy_too: bool = False
    reads_text: bool = False
    options: Mapping[str, Option] = field(default_factory=dict, hash=False)


_ATTRIBUTES = {
    name: kind
    for name, kind in get_type_hints(SamplerInfo).items()
    if name not in {"description", "module", "class_name", "options"}
}


@cache
def introductions() -> dict[str, SamplerInfo]:
    """List the samplers by id, in the order in which they are applied. Raises ImportError where two share a name."""
    found: dict[str, SamplerInfo] = {}
    taken: set[str] = {SEED}
    sources = Sources(_PACKAGE)
    for module in modules(_PACKAGE):
        for made in sources.concrete(module, _BASE):
            literals = {name: sources.literal(module, made, name, kind) for name, kind in _ATTRIBUTES.items()}
            options = sources.options(module, made)
            if literals["id"] in found or taken & options.keys():
                raise ImportError(f"{module}: the id or an option of {literals['id']!r} is another sampler's")
            taken |= options.keys()
            found[literals["id"]] = SamplerInfo(
                **literals, options=options, description=inspect.getdoc(made) or "", module=module,
                class_name=made.__name__,
            )  # fmt: skip
    return dict(sorted(found.items(), key=lambda item: item[1].place))


@cache
def options() -> dict[str, Option]:
    """List the settings by name that a lane may have of its own: those of all samplers, and the seed."""
    of_samplers = {name: one for sampler in introductions().values() for name, one in sampler.options.items()}
    return of_samplers | {SEED: race_option(SEED)}


@cache
def load(introduction: SamplerInfo) -> type[Sampler]:
    """Import the class of a sampler."""
    found: type[Sampler] = getattr(importlib.import_module(introduction.module), introduction.class_name)
    return found
