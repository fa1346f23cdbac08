"""What another busy program on the machine does to a step, with and without `kvdemo.cores`.

The limit for one busy neighbour on c cores is about c/(c - 1): the work is shared among the cores that are left, and
the neighbour takes its turns. What OpenMP's spinning adds on top of that is what the setting removes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import mean

from benchmarks.figure import Figure
from tests.serving import ROOT

ROUNDS = 3
STEPS = """
import sys, threading
if sys.argv[1] == "shared":
    from kvdemo import cores
    cores.share()
from kvdemo import session
from kvdemo.models import catalog, loading
from kvdemo.request import RaceRequest
model = loading.load(catalog.DEFAULT, device="cpu")
asked = RaceRequest("What is KV caching?", strategies=("dynamic_cache",), max_new_tokens=24, ignore_eos=True)
document = session.run(asked, model, lambda _: None, threading.Event()).document
print(document["lanes"][0]["metrics"]["tpot_s"])
"""


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """Another process that keeps one core busy."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as neighbour:
        try:
            yield
        finally:
            neighbour.kill()


def tpot(setting: str) -> float:
    """Seconds a decode step in a fresh process; "shared" or "spinning"."""
    clean = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    command = [sys.executable, "-c", STEPS, setting]
    return float(subprocess.run(command, cwd=ROOT, env=clean, check=True, capture_output=True, text=True).stdout)


def run() -> Iterator[Figure]:
    """Both settings in turn, alone on the machine and beside the neighbour."""
    alone = [(tpot("shared"), tpot("spinning")) for _ in range(ROUNDS)]
    with busy_neighbour():
        beside = [(tpot("shared"), tpot("spinning")) for _ in range(ROUNDS)]
    shared_alone, spinning_alone = (mean(column) for column in zip(*alone, strict=True))
    shared_beside, spinning_beside = (mean(column) for column in zip(*beside, strict=True))
    yield Figure("TPOT alone on the machine: short spin / OpenMP's own", shared_alone / spinning_alone, "×", 1.05)
    yield Figure("TPOT beside a busy process: short spin / OpenMP's own", shared_beside / spinning_beside, "×", 1)
    yield Figure("(for reference) TPOT beside a busy process / alone, short spin", shared_beside / shared_alone, "×")
