"""The decoding strategies, found by looking into this folder: one file, one strategy.

What a strategy says of itself is read from its source; it is imported when it is first run. Importing one
brings in torch, which takes seconds, and a page or a `--help` should not wait for that.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kvdemo.core import BadInput, Option
from kvdemo.strategies import _spec

if TYPE_CHECKING:
    from kvdemo.strategies.base import Strategy


@dataclass(frozen=True, slots=True)
class Introduction:
    """A strategy's own words and settings, and the module that it is in. `description` is its class docstring."""

    id: str
    name: str
    summary: str
    lossless: bool
    description: str
    module: str
    options: Mapping[str, Option] = field(default_factory=dict, hash=False)


def discover(package: ModuleType) -> dict[str, Introduction]:
    """The strategies in a package's files, by id; files with a leading underscore hold shared pieces."""
    found: dict[str, Introduction] = {}
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        file = info.module_finder.find_spec(info.name, None)
        if info.name.rpartition(".")[2].startswith("_") or file is None or file.origin is None:
            continue
        for introduction in _introductions(Path(file.origin).read_text(encoding="utf-8"), info.name):
            if introduction.id in found:
                raise ImportError(f"two strategies are called {introduction.id!r}: {info.name} is the second")
            found[introduction.id] = introduction
    return found


def _introductions(source: str, module: str) -> list[Introduction]:
    """Subclasses of Strategy in a module's source. Their class attributes must be literals."""
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    strategies = [c for c in classes if any(isinstance(base, ast.Name) and base.id == "Strategy" for base in c.bases)]
    return [
        Introduction(
            **_literals(node),
            description=inspect.cleandoc(ast.get_docstring(node) or ""),
            module=module,
            options=_options(node),
        )
        for node in strategies
    ]


def _literals(node: ast.ClassDef) -> dict[str, Any]:
    assigned = {
        target.id: statement.value
        for statement in node.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    return {name: ast.literal_eval(assigned[name]) for name in ("id", "name", "summary", "lossless")}


def _options(node: ast.ClassDef) -> dict[str, Option]:
    """The class attributes that are made by `option(...)`, which is called with literals."""
    found = {}
    for statement in node.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Call(func=ast.Name(id="option")) as call):
                named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
                found[name] = Option(*map(ast.literal_eval, call.args), **named)
    return found


@cache
def introductions() -> dict[str, Introduction]:
    """The strategies of this package, by id."""
    return discover(importlib.import_module(__name__))


def check(wanted: str) -> Introduction:
    """The introduction of the strategy that a spec names, its settings checked. Raises BadInput."""
    return _read(wanted)[0]


def get(wanted: str) -> Strategy:
    """The strategy that a spec names, imported if need be, with its settings. Raises BadInput."""
    introduction, values = _read(wanted)
    return load(introduction)(**values)


def _read(text: str) -> tuple[Introduction, _spec.Values]:
    strategy_id, given = _spec.split(text)
    known = introductions()
    if strategy_id not in known:
        raise BadInput(f"There is no strategy {strategy_id[:80]!r}: choose from {', '.join(known)}.")
    introduction = known[strategy_id]
    return introduction, _spec.read(strategy_id, introduction.options, given)


@cache
def load(introduction: Introduction) -> type[Strategy]:
    """Import what was introduced: the class."""
    from kvdemo.strategies.base import Strategy  # noqa: PLC0415 - needs this package

    for value in vars(importlib.import_module(introduction.module)).values():
        if isinstance(value, type) and issubclass(value, Strategy) and vars(value).get("id") == introduction.id:
            return value
    raise ImportError(f"{introduction.module} introduces {introduction.id!r} but does not define it")
