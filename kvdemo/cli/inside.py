"""Run `inside`: show what a model computes and keeps for one text, panel by panel."""

from __future__ import annotations

import argparse

from kvdemo.cli.options import Commands, add_decoding, given, print_json, prompt_of, show_progress, stop_on_interrupt
from kvdemo.core.events import PanelsShown, Progress
from kvdemo.core.settings.inside import InsideRequest
from kvdemo.inside import summary
from kvdemo.models.names.catalog import DEFAULT

NAMES = ("inside",)


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("inside", help="show what a model computes and keeps for a text")
    parser.set_defaults(command=run)
    add_decoding(parser, InsideRequest)


def run(options: argparse.Namespace) -> int:
    """Compute the panels."""
    request = InsideRequest.parse(given(options, InsideRequest) | {"prompt": prompt_of(options)})

    from kvdemo.inside import session  # noqa: PLC0415 - torch takes seconds; bad input needs none of it
    from kvdemo.models.loading import load  # noqa: PLC0415

    model = load(request.model or DEFAULT, device=options.device, dtype=options.dtype, progress=_show)
    stop = stop_on_interrupt()
    document = session.run(request, model, _show, stop)
    if options.json:
        print_json(document)
    else:
        print(*summary.lines(document), sep="\n")
    return 0


def _show(event: Progress | PanelsShown) -> None:
    """Print progress on stderr."""
    if isinstance(event, Progress):
        show_progress(event.text, event.fraction)
