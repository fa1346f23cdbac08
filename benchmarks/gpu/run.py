"""Check every claim about a GPU on random weights of named shapes, in eight minutes: `python -m benchmarks gpu`.

It needs torch and transformers, no network and no page. Each part has a model, the seconds that it may take on an H100
and a function that gives figures (`benchmarks.gpu.parts`). A part for which too little of the time is left is skipped,
and the file says so. Where there is no GPU, or with --tiny, it runs through on small shapes: then times are shown and
not judged, and what can be counted is judged all the same.

The result goes to benchmarks/results/gpu-<device>.json: the environment, and for each figure its target and whether it
was held.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.figure import Figure
from benchmarks.gpu import models as gpu_models
from benchmarks.gpu import parts as gpu_parts
from benchmarks.gpu.parts import PARTS, Part
from kvdemo.engine import environment
from kvdemo.models.loaded import LoadedModel

SCHEMA = 1
RESULTS = Path(__file__).parents[1] / "results"
BUDGET_S = 480


def main(arguments: Sequence[str]) -> int:
    """Run the parts; return 1 if a target was missed or a part failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu", description=__doc__.partition("\n")[0])
    parser.add_argument("--tiny", action="store_true", help="small shapes; always so without a GPU")
    parser.add_argument("--out", type=Path, metavar="F", help="where the result goes")
    parser.add_argument("--seconds", type=float, default=BUDGET_S, help="default: %(default)s")
    options = parser.parse_args(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    run = _Run(gpu_models.Models(device, tiny=options.tiny or device.type == "cpu"), options.seconds)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ[gpu_parts.CACHE_FOLDER] = folder
        for part in PARTS:
            run.part(part)
        run.heard()
    document = run.document()
    out = options.out or RESULTS / f"gpu-{_slug(document['device'])}{'-tiny' if document['tiny'] else ''}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    missed = sum(figure["held"] is False for figure in document["figures"])
    failed = sum(part["status"] == "failed" for part in document["parts"])
    print(f"{missed} of {len(document['figures'])} figures missed, {failed} parts failed, "
          f"{document['seconds']:.0f} s: {out}")  # fmt: skip
    return int(bool(missed or failed))


class _Run:
    """The parts that have run, and what they gave."""

    def __init__(self, models: gpu_models.Models, budget_s: float) -> None:
        self.models, self.budget_s = models, budget_s
        self.started = time.monotonic()
        self.figures: list[dict[str, Any]] = []
        self.parts: list[dict[str, Any]] = []
        self.said: list[str] = []

    def part(self, part: Part) -> None:
        """Run one part, unless too little time is left."""
        spent = time.monotonic() - self.started
        if spent + part.seconds > self.budget_s and not self.models.tiny:
            self._note(part, "skipped", 0.0, f"{self.budget_s - spent:.0f} s are left, and it may take {part.seconds}.")
            return
        print(f"[{spent:4.0f} s] {part.name}, {part.shape}", flush=True)
        begun, error = time.monotonic(), None
        try:
            with _overheard(self.said):
                for figure in part.run(self.models, part.shape):
                    self._figure(part.name, part.shape, figure)
        except Exception as failure:  # noqa: BLE001 - the other parts go on; the file and the exit code tell
            error = f"{type(failure).__name__}: {failure}"
        self._note(part, "failed" if error else "done", time.monotonic() - begun, error)
        gc.collect()
        if self.models.device.type == "cuda":
            torch.cuda.empty_cache()

    def heard(self) -> None:
        """Report what came on stderr while the parts ran, other processes included: nothing should."""
        for line in self.said[:10]:
            print(f"    stderr: {line}")
        self._figure("all parts", "", Figure("lines on stderr", len(self.said), gpu_parts.COUNT, 0))

    def _figure(self, part: str, shape: str, figure: Figure) -> None:
        judged = not self.models.tiny or figure.unit == gpu_parts.COUNT
        held = figure.holds if judged else None
        mark = "" if figure.target is None else {True: "ok", False: "MISSED", None: "not judged"}[held]
        bound = "" if figure.target is None else f"{'≤' if figure.at_most else '≥'} {figure.target:g}"
        print(f"    {figure.name:<88} {figure.value:>10.4g} {figure.unit:<8} {bound:<8} {mark}", flush=True)
        self.figures.append({"part": part, "shape": shape} | asdict(figure) | {"judged": judged, "held": held})

    def _note(self, part: Part, status: str, seconds: float, why: str | None) -> None:
        if status != "done":
            print(f"    {part.name} {status}: {why}", flush=True)
        self.parts.append(
            {"name": part.name, "shape": part.shape, "status": status, "seconds": round(seconds, 1), "why": why}
        )

    def document(self) -> dict[str, Any]:
        """Return the result as it is written."""
        device = self.models.device
        held: LoadedModel | None = self.models.held
        about = environment.describe(held.attention if held else "sdpa", device)
        return {
            "schema": SCHEMA,
            "kind": "gpu benchmark",
            "device": about["gpu"] if device.type == "cuda" else about["cpu"],
            "tiny": self.models.tiny,
            "not_judged": "Times of small shapes say nothing about a GPU." if self.models.tiny else None,
            "seconds": round(time.monotonic() - self.started, 1),
            "environment": about,
            "parts": self.parts,
            "figures": self.figures,
        }


@contextmanager
def _overheard(said: list[str]) -> Iterator[None]:
    """Collect in `said`, line by line, what this process and those that it starts write to stderr meanwhile."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            said += [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "device"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
