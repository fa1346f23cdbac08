"""`models` and `strategies`: what there is to choose from."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from kvdemo.cli.options import Commands, print_json
from kvdemo.engine import describe_strategies
from kvdemo.models.catalog import CATALOG

NAMES = ("models", "strategies")


def add(commands: Commands) -> None:
    """Add both commands to the parser."""
    for name, command, text in (
        ("models", _models, "list the catalogue"),
        ("strategies", _strategies, "list the strategies"),
    ):
        listing = commands.add_parser(name, help=text)
        listing.set_defaults(command=command)
        listing.add_argument("--json", action="store_true")


def _models(options: argparse.Namespace) -> int:
    _list([asdict(card) for card in CATALOG], options.json, lambda row: f"{row['id']:44} {row['note']}")
    return 0


def _strategies(options: argparse.Namespace) -> int:
    _list(describe_strategies(), options.json, lambda row: f"{row['id']:16} {row['summary']}")
    return 0


def _list(rows: list[dict[str, Any]], as_json: bool, line: Callable[[dict[str, Any]], str]) -> None:
    if as_json:
        print_json(rows)
    else:
        print(*map(line, rows), sep="\n")
