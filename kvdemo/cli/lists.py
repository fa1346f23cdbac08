"""Run `models`, `strategies` and `samplers`: list what there is to choose from, and what cannot run on a model here."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from kvdemo import samplers
from kvdemo.cli.options import Commands, add_model, print_json, show_progress
from kvdemo.core.events import Progress
from kvdemo.models.names.catalog import CATALOG, DEFAULT
from kvdemo.server.questions.listings import find_reasons, list_strategies

NAMES = ("models", "strategies", "samplers")


def add(commands: Commands) -> None:
    """Add the commands to the parser."""
    models = commands.add_parser("models", help="list the catalogue")
    models.set_defaults(command=_models)
    strategies = commands.add_parser("strategies", help="list the strategies, and whether they run on a model here")
    strategies.set_defaults(command=_strategies)
    add_model(strategies)
    choosing = commands.add_parser("samplers", help="list the rules by which a lane may choose its tokens")
    choosing.set_defaults(command=_samplers)
    for listing in (models, strategies, choosing):
        listing.add_argument("--json", action="store_true")


def _models(options: argparse.Namespace) -> int:
    _list([asdict(card) for card in CATALOG], options.json, lambda row: f"{row['id']:44} {row['note']}")
    return 0


def _strategies(options: argparse.Namespace) -> int:
    from kvdemo.models.loading import load  # noqa: PLC0415 - torch takes seconds; --help needs none of it

    def tell(event: Progress) -> None:
        show_progress(event.text, event.fraction)

    model = load(options.model or DEFAULT, device=options.device, dtype=options.dtype, progress=tell)
    _list(list_strategies(find_reasons(model)), options.json, _strategy)
    return 0


def _samplers(options: argparse.Namespace) -> int:
    rows = [asdict(introduction) for introduction in samplers.introductions().values()]
    _list(rows, options.json, lambda row: f"{row['id']:20} {row['summary']}")
    return 0


def _strategy(row: dict[str, Any]) -> str:
    reason = f"\n{'':22} Not here: {row['reason']}" if row["reason"] else ""
    return f"{row['id']:22} {row['summary']}{reason}"


def _list(rows: list[dict[str, Any]], as_json: bool, line: Callable[[dict[str, Any]], str]) -> None:
    if as_json:
        print_json(rows)
    else:
        print(*map(line, rows), sep="\n")
