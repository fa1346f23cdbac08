"""Run `compare a.json b.json`: say what differs between two documents, and whether their times do."""

from __future__ import annotations

import argparse

from kvdemo.cli.options import Commands, print_json, read
from kvdemo.compare.comparison import compare
from kvdemo.compare.text import as_text
from kvdemo.compare.validation import load
from kvdemo.core.errors import BadInput

NAMES = ("compare",)


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("compare", help="compare two documents of race --json or measure --json")
    parser.set_defaults(command=run)
    parser.add_argument("a", metavar="a.json")
    parser.add_argument("b", metavar="b.json")
    parser.add_argument("--json", action="store_true")


def run(options: argparse.Namespace) -> int:
    """Compare two files."""
    comparison = compare(_document(options.a), _document(options.b))
    if options.json:
        print_json(comparison)
    else:
        print(as_text(comparison))
    return 0


def _document(name: str) -> dict[str, object]:
    try:
        return load(read(name, "file"))
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from None
