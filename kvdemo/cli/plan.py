"""Run `plan`: say what a model's configuration needs of a machine; no weights are loaded."""

from __future__ import annotations

import argparse
import sys

from kvdemo.cli.options import Commands, add_settings, given, print_json, read, text_of
from kvdemo.costs.planner import PlanRequest

NAMES = ("plan",)


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("plan", help="cache size, what fits, decode floor, from a configuration alone")
    parser.set_defaults(command=run)
    of = parser.add_mutually_exclusive_group(required=True)
    of.add_argument("--model", metavar="ID_OR_FOLDER", help="catalogue name, Hub id or folder")
    of.add_argument("--config", metavar="F", help="a config.json; - for standard input")
    add_settings(parser, PlanRequest, without={"model", "config"})
    parser.add_argument("--json", action="store_true")


def run(options: argparse.Namespace) -> int:
    """Print the plan."""
    settings = given(options, PlanRequest)
    if options.config is not None:
        raw = sys.stdin.buffer.read() if options.config == "-" else read(options.config, "configuration")
        settings["config"] = text_of(raw, options.config, "configuration")
    request = PlanRequest.parse(settings)

    from kvdemo.models.facts import architecture  # noqa: PLC0415 - transformers takes seconds; bad input needs none of it

    shape = architecture.parse(request.config) if request.config else architecture.from_hub(request.model or "")
    document = request.plan(shape)
    if options.json:
        print_json(document)
    else:
        print(*document["sentences"], "", *document["notes"], sep="\n")
    return 0
