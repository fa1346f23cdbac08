"""Docstrings and comments name files and modules that exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
#: Where a path in a docstring may begin, beside the folder of its own file.
BEGINNINGS = (ROOT, ROOT / "kvdemo", ROOT / "kvdemo/web", ROOT / "kvdemo/web/frontend")
FILE = re.compile(r"(?<![\w./*-])[\w-]+(?:/[\w.-]+)*\.(?:py|js|mjs|css|ts)\b")
#: Not the browser's kvdemo, which the `js` of events calls.
MODULE = re.compile(r"(?<![\w./])kvdemo\.(?!given\b|tell\b|draw\b)\w+(?:\.\w+)*")
#: Files of other projects.
THEIRS = re.compile(r"^(?:transformers/|torch/|plotly\.js$)")


@cache
def _told(path: Path) -> str:
    """What a file says in words: the docstrings of a Python file, the comments of another."""
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return "\n".join(re.findall(r"/\*.*?\*/|(?<![:\"'`])//[^\n]*", source, flags=re.DOTALL))
    nodes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return "\n".join(ast.get_docstring(node) or "" for node in ast.walk(ast.parse(source)) if isinstance(node, nodes))


def named(pattern: re.Pattern[str]) -> Iterator[tuple[Path, str]]:
    for path in sorted(ROOT.glob("kvdemo/**/*.*")):
        if path.suffix in {".py", ".js", ".ts", ".css"} and path.name != "documents.d.ts":
            yield from ((path, word) for word in sorted(set(pattern.findall(_told(path)))))


def _exists(word: str, beside: Path) -> bool:
    """A name alone is that of a file in the same folder, or at the top."""
    return any((folder / word).is_file() for folder in (beside, *(BEGINNINGS if "/" in word else BEGINNINGS[:1])))


@cache
def _words_of(path: Path) -> set[str]:
    return set(re.findall(r"\w+", path.read_text(encoding="utf-8")))


def _is_defined(dotted: str) -> bool:
    place = ROOT
    for part in dotted.split("."):
        if (place / part).is_dir():
            place /= part
        elif (place / f"{part}.py").is_file():
            place /= f"{part}.py"
        else:
            return part in _words_of(place / "__init__.py" if place.is_dir() else place)
    return True


def test_every_file_that_a_docstring_names_exists() -> None:
    lost = [(str(path.relative_to(ROOT)), word) for path, word in named(FILE) if not THEIRS.match(word)]
    assert [(path, word) for path, word in lost if not _exists(word, (ROOT / path).parent)] == []


def test_every_module_that_a_docstring_names_exists() -> None:
    python = [(path, word) for path, word in named(MODULE) if path.suffix == ".py"]
    assert [(str(path.relative_to(ROOT)), word) for path, word in python if not _is_defined(word)] == []


@pytest.mark.parametrize(("pattern", "least"), [(FILE, 40), (MODULE, 30)])
def test_names_are_found_in_docstrings(pattern: re.Pattern[str], least: int) -> None:
    assert sum(1 for _ in named(pattern)) > least
