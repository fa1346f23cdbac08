"""Run `python -m benchmarks`: every promise about speed, its figure beside its target; the last line is JSON.

`python -m benchmarks gpu` is apart from the others: it asks for a GPU and for none of the page (`benchmarks.gpu.run`).
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from benchmarks.figure import Figure

if TYPE_CHECKING:
    from kvdemo.models.loaded import LoadedModel
    from kvdemo.server.service import Service

MEASURES = (
    "startup",
    "page",
    "contention",
    "engine_process",
    "load",
    "soak",
    "hostile",
    "stop",
    "lanes",
    "compiled",
    "recording",
    "app",
    "measurement",
    "lookup",
    "inside",
    "wire",
)
# Each measure imports what it needs when it is asked for: `gpu` runs where there is no gradio.
# ruff: noqa: PLC0415


def holding(model: str) -> tuple[Service, LoadedModel]:
    """Make a service that has loaded a model."""
    from kvdemo.server.service import Service

    engine = Service(model, device="cpu")
    engine.preload()
    if engine.held is None:
        sys.exit(engine.status()["text"])
    return engine, engine.held


@contextmanager
def serving(engine: Service) -> Iterator[str]:
    """Serve the app in this process; yields its address."""
    from kvdemo.web import page

    blocks = page.build(engine)
    _, url, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **page.launch_options())
    try:
        yield url
    finally:
        blocks.close(verbose=False)


@contextmanager
def fast_model(like: LoadedModel) -> Iterator[str]:
    """Write a small random Llama behind a real tokenizer to a folder: tokens of real lengths, at hundreds a second."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(like.tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=4096, initializer_range=0.2,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        LlamaForCausalLM(config).save_pretrained(folder)
        like.tokenizer.save_pretrained(folder)
        yield folder


def figures(measures: list[str]) -> Iterator[Figure]:
    """Yield all figures of the measures asked for."""
    if "startup" in measures:
        from benchmarks.measures import startup

        yield from startup.run()
    if "page" in measures:
        from benchmarks.measures import page

        yield from page.run()
    if "contention" in measures:
        from benchmarks.measures import contention

        yield from contention.run()
    if "engine_process" in measures:
        from benchmarks.measures import engine_process

        yield from engine_process.run()
    if "load" in measures:
        from benchmarks.measures import load

        yield from load.run()
    if "soak" in measures:
        from benchmarks.measures import soak

        yield from soak.run()
    if "hostile" in measures:
        from benchmarks.measures import hostile

        yield from hostile.run()
    if "stop" in measures:
        from benchmarks.measures import stop

        yield from stop.run()
    if not set(measures) <= {"startup", "page", "contention", "engine_process", "load", "soak", "hostile", "stop"}:
        yield from on_the_default_model(measures)


def on_the_default_model(measures: list[str]) -> Iterator[Figure]:
    """Yield the figures for which a model is loaded in this process."""
    import torch

    from benchmarks.measures import app, compiled, inside, lanes, lookup, measurement, recording, wire
    from kvdemo.models.names import catalog

    engine, model = holding(catalog.DEFAULT)
    in_process = {"lanes": lanes.run, "compiled": compiled.run, "recording": recording.run, "lookup": lookup.run}
    for name, run in in_process.items():
        if name in measures:
            yield from run(model)
    if "recording" in measures:
        yield from recording.run_candidates(model)
    if "measurement" in measures:
        yield from measurement.run(model)
    if "inside" in measures:
        yield from inside.run(engine, lambda: serving(engine))
    with serving(engine) as url:
        if "app" in measures:
            yield from app.run(model, url)
        if "wire" in measures:
            yield from wire.run(url, 64, "2 × 64 tokens of SmolLM2, browser on the same machine", judged=False)
    if "wire" in measures:
        torch.set_num_threads(1)  # the other core is the visitor's computer
        with fast_model(model) as folder, serving(holding(folder)[0]) as url:
            yield from wire.run(url, 1000, "2 × 1000 tokens of a fast model", judged=True)


def main() -> int:
    """Run the measures named on the command line, or all; return 1 if a target was missed."""
    if sys.argv[1:2] == ["gpu"]:
        from benchmarks.gpu import run as gpu

        return gpu.main(sys.argv[2:])
    unknown = set(sys.argv[1:]) - set(MEASURES)
    if unknown:
        known = ", ".join((*MEASURES, "gpu"))
        print(f"there is no measure {', '.join(sorted(unknown))}: choose from {known}", file=sys.stderr)
        return 2
    done = []
    for figure in figures(sys.argv[1:] or list(MEASURES)):
        print(figure, flush=True)
        done.append(figure)

    import gradio

    from kvdemo.engine import environment

    about = environment.describe() | {"gradio": gradio.__version__}
    print(json.dumps({"environment": about, "figures": [asdict(figure) for figure in done]}))
    return int(any(figure.holds is False for figure in done))


if __name__ == "__main__":
    sys.exit(main())
