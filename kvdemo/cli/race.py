"""Run `race`: one prompt through several strategies."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kvdemo import strategies
from kvdemo.cli.options import Commands, add_decoding, given, print_json, prompt_of, show_progress, stop_on_interrupt
from kvdemo.core.errors import BadInput
from kvdemo.core.events import Finished, Progress, RaceEvent, Started
from kvdemo.core.settings.race import RaceRequest
from kvdemo.engine import openmp
from kvdemo.models.names.catalog import DEFAULT, resolve
from kvdemo.strategies import StrategyInfo

NAMES = ("race",)


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("race", help="run one prompt through several strategies")
    parser.set_defaults(command=run)
    add_decoding(parser, RaceRequest)
    parser.add_argument(
        "--cache-file",
        metavar="F",
        help="safetensors: a lane that keeps a prefix resumes from it if it is there, and writes it",
    )


def run(options: argparse.Namespace) -> int:
    """Race; return 1 if a lane failed, or the cache file could not be written."""
    request = RaceRequest.parse(given(options, RaceRequest) | {"prompt": prompt_of(options)})
    lanes = [strategies.check(spec) for spec in request.strategies]
    path = None if options.cache_file is None else _cache_file(options.cache_file, lanes)

    openmp.limit_spinning()
    from kvdemo.caches.prefix_file import PrefixFile  # noqa: PLC0415
    from kvdemo.models.device import choose  # noqa: PLC0415
    from kvdemo.models.loading import load, read_without_weights  # noqa: PLC0415
    from kvdemo.models.sources.find import find  # noqa: PLC0415
    from kvdemo.race import session  # noqa: PLC0415 - torch takes seconds; bad input and --help need none of it

    name = request.model or DEFAULT
    if all(lane.elsewhere for lane in lanes):
        choose(options.device, options.dtype)  # a bad one is refused, though nothing runs on it
        source = find(name, _show_progress, weights=False)
        model = read_without_weights(resolve(name).id, source, dtype=options.dtype)
    else:
        model = load(name, device=options.device, dtype=options.dtype, progress=_show_progress)
    stop = stop_on_interrupt()
    store = PrefixFile(path) if path else None
    finished = session.run(request, model, _show_progress if options.json else _show_text, stop, store)
    if options.json:
        print_json(finished.document)
    if store and store.error:
        print(f"kvdemo: {store.error}", file=sys.stderr)
        return 1
    return int(any(lane["status"] == "failed" for lane in finished.document["lanes"]))


def _cache_file(name: str, lanes: Sequence[StrategyInfo]) -> Path:
    """Check where a lane keeps its keys and values. Raises BadInput for what would fail when the race is over."""
    path = Path(name)
    if not any(lane.keeps_prefix for lane in lanes):
        keeping = " or ".join(known.id for known in strategies.introductions().values() if known.keeps_prefix)
        raise BadInput(f"--cache-file is for the lane {keeping}, and it is not in this race: add it to --strategies.")
    if path.is_dir():
        raise BadInput(f"The cache file {name!r} is a folder: name a file.")
    if not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
        raise BadInput(f"The cache file {name!r} cannot be written: there is no such folder, or it is closed to you.")
    return path


def _show_progress(event: RaceEvent) -> None:
    """Print progress on stderr: what is being done, and a count of tokens."""
    match event:
        case Progress(text, fraction):
            show_progress(text, fraction)
        case Started(lanes=lanes, prompt_tokens=n):
            show_progress(f"Racing {', '.join(lane.name for lane in lanes)} on {n} prompt tokens")


def _figures(metrics: Mapping[str, Any]) -> list[tuple[str, float | None]]:
    """List a lane's times in seconds, by what they are called. A search has levels in place of TTFT and TPOT."""
    if metrics["levels"]:
        return [("a level", metrics["level_s"]), ("E2E", metrics["e2e_s"])]
    return [("TTFT", metrics["ttft_s"]), ("TPOT", metrics["tpot_s"]), ("E2E", metrics["e2e_s"])]


def _show_text(event: RaceEvent) -> None:
    """Print progress on stderr; at the end each lane's text and figures, and the verdict, on stdout."""
    if not isinstance(event, Finished):
        _show_progress(event)
        return
    for lane in event.document["lanes"]:
        metrics = lane["metrics"]
        figures = " · ".join(
            f"{label} {value * 1e3:,.1f} ms" if value is not None else f"{label} –"
            for label, value in _figures(metrics)
        )
        positions = "positions unknown" if metrics["positions"] is None else f"{metrics['positions']:,} positions"
        counts = f"{metrics['tokens']:,} tokens · {positions}"
        print(f"── {lane['strategy']}: {counts} · {figures}\n{lane['text']}\n")
    print(event.verdict.headline, *event.verdict.sentences, sep="\n")
    if line := event.document["environment"]["attention_line"]:
        print(f"Attention: {line}.")
