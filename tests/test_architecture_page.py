"""docs/architecture.md tells the truth: its picture is today's contract, and every file and name on it exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from docs import layers

ROOT = layers.ROOT
PAGE = layers.PAGE.read_text(encoding="utf-8")
TEXT = re.sub(r"^```.*?^```", "", PAGE, flags=re.DOTALL | re.MULTILINE)
PATH = re.compile(r"[\w.-]+(/[\w.-]*)+|[\w-]+\.(py|toml|md|js)")
NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?")
#: What is neither a file nor a name in one: programs, markers of tests, a parameter that the page follows.
OTHER = {"lint-imports", 'pytest -m "not slow and not browser and not model"', "slow", "browser", "model"}


def paragraphs() -> list[list[str]]:
    """What stands in backticks, by paragraph, list item or table row."""
    blocks = re.split(r"\n\s*\n|\n(?=\d\. |\| )", TEXT)
    return [found for block in blocks if (found := re.findall(r"`([^`]+)`", block.replace("\n", " ")))]


@cache
def names_in(path: Path) -> set[str]:
    """What a file defines: its own names, and those of its classes as Class.name and alone."""
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return set(re.findall(r"\w+", source))
    found: set[str] = set()
    for node in ast.parse(source).body:
        owned = [node, *(node.body if isinstance(node, ast.ClassDef) else [])]
        for one in owned:
            for name in _defined(one):
                found |= {name} if one is node else {name, f"{node.name}.{name}"}  # type: ignore[attr-defined]
    return found


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def test_the_picture_matches_the_import_contract() -> None:
    assert layers.drawn(PAGE) == PAGE, "run: python docs/layers.py"


def test_the_picture_shows_every_package_once() -> None:
    shown = [package for row in layers.layers() for package in row]
    assert sorted(shown) == sorted(path.parent.name for path in ROOT.glob("kvdemo/*/__init__.py"))


@pytest.mark.parametrize("path", sorted({word for words in paragraphs() for word in words if PATH.fullmatch(word)}))
def test_every_file_that_the_page_names_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("words", paragraphs(), ids=lambda words: words[0])
def test_every_name_is_defined_in_a_file_named_beside_it(words: list[str]) -> None:
    files = [ROOT / word for word in words if PATH.fullmatch(word) and (ROOT / word).is_file()]
    defined = set().union(*map(names_in, files)) if files else set()
    names = [word for word in words if not PATH.fullmatch(word) and word not in OTHER]
    assert [name for name in names if name not in defined] == []
    assert all(NAME.fullmatch(name) for name in names)
