"""Run `measure`: repeats with statistics, and the break-even sweep. Ctrl-C keeps what is done."""

from __future__ import annotations

import argparse
import uuid

from kvdemo import strategies
from kvdemo.cli.options import Commands, add_decoding, given, print_json, prompt_of, show_progress, stop_on_interrupt
from kvdemo.core.events import Progress
from kvdemo.core.figures import units
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.engine import openmp
from kvdemo.measure.report import tables
from kvdemo.models.names.catalog import DEFAULT

NAMES = ("measure",)


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("measure", help="repeat, and report statistics; optionally a sweep of lengths")
    parser.set_defaults(command=run)
    add_decoding(parser, MeasureRequest)


def run(options: argparse.Namespace) -> int:
    """Measure; return 1 if a lane failed."""
    request = MeasureRequest.parse(given(options, MeasureRequest) | {"prompt": prompt_of(options)})
    for strategy_id in request.race.strategies:
        strategies.check(strategy_id)

    openmp.limit_spinning()
    from kvdemo.measure import measurement  # noqa: PLC0415 - torch takes seconds; bad input needs none of it
    from kvdemo.models.loading import load  # noqa: PLC0415

    model = load(
        request.race.model or DEFAULT, device=options.device, dtype=options.dtype,
        progress=lambda event: show_progress(event.text, event.fraction),
    )  # fmt: skip
    stop = stop_on_interrupt()
    shown = _Shown()
    document = measurement.run(request, model, uuid.uuid4().hex[:12], shown.show, stop)
    if options.json:
        print_json(document)
    else:
        print(tables.to_markdown(document))
    return int(document["status"] == "failed")


class _Shown:
    """Progress on stderr, a line for each new thing that is being done."""

    def __init__(self) -> None:
        self._text = ""

    def show(self, state: Progress | object) -> None:
        """Print one state of the measurement."""
        text, left = getattr(state, "text", ""), getattr(state, "remaining_s", None)
        if text != self._text:
            self._text = text
            show_progress(text + (f" ({units.seconds(round(left))} to go)" if left and left >= 1 else ""))
