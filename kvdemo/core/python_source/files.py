"""Read one source file as a syntax tree: the classes that it defines, and what its names stand for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class SourceFile:
    """One parsed file: what it defines and what it imports, by the name that it has there."""

    module: str
    is_package: bool
    statements: tuple[ast.stmt, ...]

    @classmethod
    def read(cls, module: str, path: Path) -> SourceFile:
        """Read a file. Raises ImportError for one that is no Python."""
        try:
            tree = ast.parse(path.read_bytes(), filename=str(path))
        except (OSError, SyntaxError, ValueError) as error:  # ValueError: null bytes
            raise ImportError(f"{module} cannot be read ({path}): {error}") from error
        return cls(module, path.name == "__init__.py", tuple(statements_of(tree.body)))

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        return {node.name: node for node in self.statements if isinstance(node, ast.ClassDef)}

    @cached_property
    def defined(self) -> set[str]:
        """Names of its classes and functions."""
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        return {node.name for node in self.statements if isinstance(node, kinds)}

    @cached_property
    def imported(self) -> dict[str, str]:
        """What each imported name stands for, in full."""
        found: dict[str, str] = {}
        for node in self.statements:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    first = alias.name.partition(".")[0]
                    found[alias.asname or first] = alias.name if alias.asname else first
            elif isinstance(node, ast.ImportFrom):
                found |= {alias.asname or alias.name: f"{self._from(node)}.{alias.name}" for alias in node.names}
        return found

    @cached_property
    def renamed(self) -> dict[str, str]:
        """Further names for what has one: `Base = module.Draft`."""
        assigned = (node for node in self.statements if isinstance(node, ast.Assign))
        pairs = ((target, dotted_name(node.value)) for node in assigned for target in node.targets)
        return {target.id: other for target, other in pairs if other and isinstance(target, ast.Name)}

    @cached_property
    def starred(self) -> tuple[str, ...]:
        """Modules that all names are imported from."""
        nodes = (node for node in self.statements if isinstance(node, ast.ImportFrom))
        return tuple(self._from(node) for node in nodes if any(alias.name == "*" for alias in node.names))

    def has(self, name: str) -> bool:
        return name in self.defined or name in self.imported or name in self.renamed

    def _from(self, node: ast.ImportFrom) -> str:
        """Return the module of a from-import, a relative one as seen from here."""
        if not node.level:
            return node.module or ""
        parts = self.module.split(".")
        base = parts[: len(parts) - node.level + self.is_package]
        return ".".join([*base, *([node.module] if node.module else [])])


def statements_of(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a block, those inside `if` and `try` too."""
    for statement in body:
        yield statement
        for name in ("body", "orelse", "finalbody") if isinstance(statement, ast.If | ast.Try) else ():
            yield from statements_of(getattr(statement, name, []))


def dotted_name(node: ast.expr) -> str | None:
    """Write `a.b.C` as text, also where it is subscripted (`C[int]`); None for other expressions."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attribute):
            return f"{base}.{attribute}" if (base := dotted_name(value)) else None
        case ast.Subscript(value=value):
            return dotted_name(value)
    return None
