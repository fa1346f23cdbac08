"""Rebuild classes from their sources, as empty classes: their bases, and their attributes unevaluated.

Importing a strategy or a sampler imports torch, which takes seconds, and `--help` and the page must not wait for that.
So each class is rebuilt from its syntax tree, with the same bases, also those from other files. Python's own rules then
say what is inherited from where and which class is abstract.
"""

from __future__ import annotations

import ast
import inspect
import pkgutil
from abc import ABCMeta
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar, get_args

from kvdemo.core import types
from kvdemo.core.errors import BadInput
from kvdemo.core.python_source.files import SourceFile, dotted_name, statements_of
from kvdemo.core.settings import race as settings
from kvdemo.core.settings import strategy_spec
from kvdemo.core.types import Option

#: What makes an option, by where it is defined. Its arguments are literals.
_MAKERS: Mapping[str, Callable[..., Option]] = {
    f"{types.__name__}.option": Option,
    f"{types.__name__}.Option": Option,
    f"{settings.__name__}.race_option": settings.race_option,
}

_Made = TypeVar("_Made")


def modules(module: str) -> Iterator[str]:
    """List a module, and those in its folders where it is a package."""
    yield module
    for info in pkgutil.iter_modules(map(str, _places(module)), f"{module}."):
        if not is_private(info.name):
            yield from modules(info.name)


def _places(module: str) -> list[Path]:
    """List where a module's files are: as a folder, if it is a package, or as a `.py` file."""
    root, *parts = module.split(".")
    return [Path(folder, *parts) for folder in _roots(root)]


def _roots(root: str) -> list[Path]:
    """List a top-level package's folders, and the path of a top-level module without `.py`; neither is imported."""
    spec = find_spec(root)
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [Path(folder) for folder in spec.submodule_search_locations]
    return [Path(spec.origin).with_suffix("")] if spec.has_location and spec.origin else []


def is_private(module: str) -> bool:
    """Tell whether a file holds shared pieces: its name has a leading underscore."""
    return module.rpartition(".")[2].startswith("_")


class Sources:
    """The source files of a package and of kvdemo, each parsed when it is first needed."""

    def __init__(self, module: str) -> None:
        self._roots = {module.partition(".")[0], "kvdemo"}
        self._files: dict[str, SourceFile | None] = {}
        self._classes: dict[str, type | None] = {}

    def concrete(self, module: str, base: str) -> Iterator[type]:
        """Yield the concrete subclasses of a class, given as `package.file.C`, in one file's order.

        One that has no id, or only the id of the class that it extends, is left out: it is a helper base. Raises
        ImportError where there is no such file.
        """
        file = self._file(module)
        if file is None:
            raise ImportError(f"{module} has no source file that can be read")
        for name in file.classes:
            made = self._class(f"{module}.{name}")
            if made and self._counts(made, base):
                yield made

    def _counts(self, made: type, name: str) -> bool:
        base = self._class(name)
        if base is None or made is base or not issubclass(made, base) or inspect.isabstract(made):
            return False
        own = inspect.getattr_static(made, "id", None)
        same = (other for other in made.__mro__[1:] if inspect.getattr_static(other, "id", None) is own)
        return own is not None and not is_private(made.__module__) and not any(self._counts(one, name) for one in same)

    def _file(self, module: str) -> SourceFile | None:
        """Read a module of the package or of kvdemo; None for all others, and where there is no such file."""
        if module not in self._files:
            places = _places(module) if module.partition(".")[0] in self._roots else []
            paths = (path for place in places for path in (place / "__init__.py", place.with_suffix(".py")))
            path = next((path for path in paths if path.is_file()), None)
            self._files[module] = SourceFile.read(module, path) if path else None
        return self._files[module]

    def _origin(self, module: str, dotted: str) -> str:
        """Find where the thing that a module calls `a.b.C` is defined: `package.file.C`. Imports are followed."""
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
        """Make an empty class with the bases and the attributes of one in a file; None for what is no class of ours."""
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

    def literal(self, module: str, made: type, name: str, kind: Any) -> Any:
        """Read an attribute that is a literal of a kind: a type, or a Literal. Raises ImportError for any other."""
        found = inspect.getattr_static(made, name, None)
        if not isinstance(found, _Value):
            raise ImportError(f"{module}: {made.__name__} has an id and no {name}: state it as a literal")
        value = found.literal(found.node, f"{name} of {made.__name__}")
        if allowed := get_args(kind):
            wanted = None if value in allowed else f"one of {', '.join(map(repr, allowed))}"
        else:
            wanted = None if isinstance(value, kind) else f"a {kind.__name__}"
        if wanted:
            raise ImportError(f"{module}: the {name} of {made.__name__} is {value!r}: state {wanted}")
        return value

    def options(self, module: str, made: type) -> dict[str, Option]:
        """Read the settings by name, those of the bases first. Raises ImportError for one that cannot be made."""
        names = dict.fromkeys(name for base in reversed(made.__mro__) for name in vars(base))
        found = {}
        for name in names:
            value = inspect.getattr_static(made, name)
            if not isinstance(value, _Value) or not isinstance(call := value.node, ast.Call):
                continue
            if make := _MAKERS.get(self._origin(value.module, dotted_name(call.func) or "")):
                what = f"option {name} of {made.__name__}"
                found[name] = option = value.make(make, call, what)
                try:
                    strategy_spec.read(made.__name__, {name: option}, {name: option.default})
                except BadInput as error:
                    raise ImportError(f"{module}: the {what} cannot be made ({error})") from error
        return found

    def call(self, module: str, made: type, name: str, kind: type[_Made]) -> _Made | None:
        """Read an attribute that is None, or a call of `kind` with literals. Raises ImportError for any other."""
        value, what = inspect.getattr_static(made, name, None), f"{name} of {made.__name__}"
        match value:
            case _Value(node=ast.Constant(value=None)) | None:
                return None
            case _Value(node=ast.Call() as call):
                if self._origin(value.module, dotted_name(call.func) or "") == f"{kind.__module__}.{kind.__name__}":
                    return value.make(kind, call, what)
        raise ImportError(f"{module}: the {what} is no {kind.__name__}(...), and it is read without being run")


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

    def make(self, kind: Callable[..., _Made], call: ast.Call, what: str) -> _Made:
        """Do what a call says whose arguments are literals."""
        given = [self.literal(argument, what) for argument in call.args]
        named = {str(keyword.arg): self.literal(keyword.value, what) for keyword in call.keywords}
        try:
            return kind(*given, **named)
        except (TypeError, KeyError, ValueError) as error:
            raise ImportError(f"{self.module}: the {what} cannot be made ({error})") from error


class _Function:
    """A method, of which only this matters: whether a class that has it is abstract."""

    def __init__(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        marks = [(dotted_name(mark) or "").rpartition(".")[2] for mark in node.decorator_list]
        self.__isabstractmethod__ = any(mark.startswith("abstract") for mark in marks)


def _attributes(module: str, node: ast.ClassDef) -> Iterator[tuple[str, Any]]:
    """Return a class's attributes by name, methods among them. Those with `__` would act on the class made here."""
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
