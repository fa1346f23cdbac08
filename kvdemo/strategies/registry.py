"""Find the strategies of a package by reading its sources; nothing is imported.

Importing a strategy imports torch, which takes seconds, and `--help` and the page must not wait for that. So each class
is rebuilt as an empty class from its syntax tree: with the same bases, also those from other files, and its attributes
unevaluated. Python's own rules then say what is inherited from where and which class is abstract.
"""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
from abc import ABCMeta
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from kvdemo.core import strategy_spec
from kvdemo.core.errors import BadInput
from kvdemo.core.types import Option
from kvdemo.strategies.read_source import SourceFile, dotted_name, statements_of

_BASE = "kvdemo.strategies.base"
_MAKE_OPTIONS = (f"{_BASE}.option", "kvdemo.core.types.Option")
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
    drafts_from: str = ""
    eager: bool = True
    keeps_prefix: bool = False
    picture: Literal["", "recompute", "cached", "resumed"] = ""


#: What a class states as literals, and what kind of literal that is.
_ATTRIBUTES = {
    name: kind
    for name, kind in get_type_hints(StrategyInfo).items()
    if name not in {"description", "module", "class_name", "options"}
}


def discover(module: str) -> dict[str, StrategyInfo]:
    """The strategies in a module, or in a package's files and folders, by id; found by its name, without an import.

    A strategy is a concrete subclass of `Strategy` that has an id. A helper base is none: it is abstract, has no id, or
    only has the id of the strategy that it extends. Files with a leading underscore hold shared pieces. Raises
    ImportError, with the file's name, for a file that cannot be read, for attributes that are no literals, and for two
    strategies with one id.
    """
    sources = _Sources(module)
    found: dict[str, StrategyInfo] = {}
    for name in _modules(module):
        for introduction in sources.introductions(name):
            if introduction.id in found:
                raise ImportError(f"two strategies are called {introduction.id!r}: {name} is the second")
            found[introduction.id] = introduction
    return dict(sorted(found.items()))


def _modules(module: str) -> Iterator[str]:
    """A module, and those in its folders where it is a package."""
    yield module
    for info in pkgutil.iter_modules(map(str, _places(module)), f"{module}."):
        if not _is_private(info.name):
            yield from _modules(info.name)


def _places(module: str) -> list[Path]:
    """Where a module's files are: as a folder, if it is a package, or with `.py` behind it."""
    root, *parts = module.split(".")
    return [Path(folder, *parts) for folder in _roots(root)]


def _roots(root: str) -> list[Path]:
    """The folders of a top-level package, and the path of a top-level module without its `.py`; neither is imported."""
    spec = find_spec(root)
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [Path(folder) for folder in spec.submodule_search_locations]
    return [Path(spec.origin).with_suffix("")] if spec.has_location and spec.origin else []


def _is_private(module: str) -> bool:
    return module.rpartition(".")[2].startswith("_")


class _Sources:
    """The source files of a package and of kvdemo, each parsed when it is first needed."""

    def __init__(self, module: str) -> None:
        self._roots = {module.partition(".")[0], "kvdemo"}
        self._files: dict[str, SourceFile | None] = {}
        self._classes: dict[str, type | None] = {}

    def introductions(self, module: str) -> Iterator[StrategyInfo]:
        """The strategies of one file, in its order."""
        file = self._file(module)
        if file is None:
            raise ImportError(f"{module} has no source file that can be read")
        for name in file.classes:
            made = self._class(f"{module}.{name}")
            if made and self._is_strategy(made):
                literals = {attribute: self._literal(module, made, attribute) for attribute in _ATTRIBUTES}
                if not _ID.fullmatch(literals["id"]):
                    raise ImportError(f"{module}: {literals['id']!r} is no id: write letters, digits, _ and -")
                description, options = inspect.getdoc(made) or "", self._options(module, made)
                yield StrategyInfo(**literals, description=description, module=module, options=options, class_name=name)

    def _is_strategy(self, made: type) -> bool:
        base = self._class(f"{_BASE}.Strategy")
        if base is None or made is base or not issubclass(made, base) or inspect.isabstract(made):
            return False
        own = inspect.getattr_static(made, "id", None)
        same = (other for other in made.__mro__[1:] if inspect.getattr_static(other, "id", None) is own)
        return own is not None and not _is_private(made.__module__) and not any(map(self._is_strategy, same))

    def _file(self, module: str) -> SourceFile | None:
        """A module of the package or of kvdemo; None for all others, and where there is no such file."""
        if module not in self._files:
            places = _places(module) if module.partition(".")[0] in self._roots else []
            paths = (path for place in places for path in (place / "__init__.py", place.with_suffix(".py")))
            path = next((path for path in paths if path.is_file()), None)
            self._files[module] = SourceFile.read(module, path) if path else None
        return self._files[module]

    def _origin(self, module: str, dotted: str) -> str:
        """Where the thing that a module calls `a.b.C` is defined: `package.file.C`. Imports are followed."""
        seen: set[tuple[str, str]] = set()
        while (file := self._file(module)) is not None and (module, dotted) not in seen:
            seen.add((module, dotted))
            first, _, rest = dotted.partition(".")
            starred = (f"{star}.{first}" for star in file.starred if (there := self._file(star)) and there.has(first))
            full = file.imported.get(first) or next(starred, None)
            if first in file.defined:
                break
            if other := file.renamed.get(first):
                dotted = f"{other}.{rest}" if rest else other
            elif full:
                module, _, dotted = (f"{full}.{rest}" if rest else full).rpartition(".")
            else:
                break
        return f"{module}.{dotted}"

    def _class(self, origin: str) -> type | None:
        """An empty class with the bases and the attributes of one in a file; None for what is no class of ours."""
        if origin not in self._classes:
            self._classes[origin] = None  # a class that is its own base ends here
            module, _, name = origin.rpartition(".")
            file = self._file(module)
            if file is not None and name in file.classes:
                self._classes[origin] = self._rebuilt(module, file.classes[name])
        return self._classes[origin]

    def _rebuilt(self, module: str, node: ast.ClassDef) -> type:
        origins = [self._origin(module, name) for base in node.bases if (name := dotted_name(base))]
        bases = tuple(made for origin in origins if (made := self._class(origin)))
        try:
            about = {"__module__": module, "__doc__": ast.get_docstring(node)}
            return ABCMeta(node.name, bases, dict(_attributes(module, node)) | about)
        except TypeError as error:  # an order of bases that Python would refuse, too
            raise ImportError(f"{module}: the bases of {node.name} do not go together ({error})") from error

    def _literal(self, module: str, made: type, name: str) -> Any:
        found = inspect.getattr_static(made, name, None)
        if not isinstance(found, _Value):
            raise ImportError(f"{module}: {made.__name__} has an id and no {name}: state it as a literal")
        value = found.literal(found.node, f"{name} of {made.__name__}")
        kind = _ATTRIBUTES[name]
        if allowed := get_args(kind):
            wanted = None if value in allowed else f"one of {', '.join(map(repr, allowed))}"
        else:
            wanted = None if isinstance(value, kind) else f"a {kind.__name__}"
        if wanted:
            raise ImportError(f"{module}: the {name} of {made.__name__} is {value!r}: state {wanted}")
        return value

    def _options(self, module: str, made: type) -> dict[str, Option]:
        """The settings by name, those of the bases first, as `Strategy.options` gives them."""
        names = dict.fromkeys(name for base in reversed(made.__mro__) for name in vars(base))
        found = {}
        for name in names:
            value = inspect.getattr_static(made, name)
            if not isinstance(value, _Value) or not isinstance(call := value.node, ast.Call):
                continue
            if self._origin(value.module, dotted_name(call.func) or "") in _MAKE_OPTIONS:
                what = f"the option {name} of {made.__name__}"
                given = [value.literal(argument, what) for argument in call.args]
                named = {str(keyword.arg): value.literal(keyword.value, what) for keyword in call.keywords}
                try:
                    found[name] = option = Option(*given, **named)
                    strategy_spec.read(made.__name__, {name: option}, {name: option.default})
                except (TypeError, BadInput) as error:
                    raise ImportError(f"{module}: {what} cannot be made ({error})") from error
        return found


@dataclass(frozen=True)
class _Value:
    """What a class attribute is set to, not evaluated."""

    module: str
    node: ast.expr

    def literal(self, node: ast.expr, what: str) -> Any:
        try:
            return ast.literal_eval(node)
        except ValueError as error:
            raise ImportError(f"{self.module}: the {what} is no literal, and it is read without being run") from error


class _Function:
    """A method, of which only this matters: whether a class that has it is abstract."""

    def __init__(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        marks = [(dotted_name(mark) or "").rpartition(".")[2] for mark in node.decorator_list]
        self.__isabstractmethod__ = any(mark.startswith("abstract") for mark in marks)


def _attributes(module: str, node: ast.ClassDef) -> Iterator[tuple[str, Any]]:
    """The attributes of a class by name, methods among them. Those with `__` would act on the class made here."""
    for statement in statements_of(node.body):
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                if not name.startswith("__"):
                    yield name, _Function(statement)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, _Value(module, value)
            case ast.Assign(targets=targets, value=value):
                names = (target.id for target in targets if isinstance(target, ast.Name))
                yield from ((name, _Value(module, value)) for name in names if not name.startswith("__"))
