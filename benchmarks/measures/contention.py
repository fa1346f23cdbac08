"""Time how OpenMP's threads wait as `engine.openmp` sets it against OpenMP's own way, alone and beside a busy program.

The limit for one busy neighbour on c cores is about c/(c - 1): the work is shared among the cores that are left, and
the neighbour takes its turns. What OpenMP's spinning adds on top of that is what the setting removes. Alone, threads
that sleep too soon must be woken for each product, so the setting must not cost there what it wins beside others.

A thread that has computed keeps its OpenMP threads while it lives, and then no OpenMP thread of the process spins: what
that costs is printed for reference.

OpenMP reads its setting when it is loaded, so each setting has a process of its own. They take bursts of steps in
lockstep, and rest between them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from benchmarks.figure import Figure
from benchmarks.tools import lockstep, stepper

OWN = {"GOMP_SPINCOUNT": "300000"}  # what libgomp does where nothing is set: 3 ms
CHOSEN: dict[str, str] = {}  # nothing: `kvdemo.engine.openmp` sets it
ROUNDS, BURSTS, STEPS = 14, 4, 8
PROMPTS = (12, 200)


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """Keep one core busy with another process."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as neighbour:
        try:
            yield
        finally:
            neighbour.kill()


def sampled(processes: Mapping[str, stepper.Process]) -> Iterator[tuple[str, dict[str, lockstep.Samples]]]:
    """Return what was timed in lockstep, and each process's seconds."""
    decoding = {name: process.decode(PROMPTS[0], STEPS) for name, process in processes.items()}
    yield "decode", lockstep.take(decoding, rounds=ROUNDS, positions=BURSTS)
    for prompt in PROMPTS:
        reading = {name: process.prefill(prompt) for name, process in processes.items()}
        yield f"prefill of {prompt}", lockstep.take(reading, rounds=ROUNDS, positions=BURSTS)


def run() -> Iterator[Figure]:
    """Run both settings alone on the machine, then beside the neighbour."""
    targets = {"decode alone": 1.05, "decode beside a busy process": 0.9}
    with ExitStack() as running:
        settings = {"chosen": CHOSEN, "own": OWN}
        processes = {name: running.enter_context(stepper.Process(waiting)) for name, waiting in settings.items()}
        with stepper.Process(CHOSEN, beside=True) as crowded:
            decoding = {"one": processes["chosen"], "two": crowded}
            loops = {name: process.decode(PROMPTS[0], STEPS) for name, process in decoding.items()}
            taken = lockstep.take(loops, rounds=ROUNDS, positions=BURSTS)
        found = lockstep.ratio(taken["two"], taken["one"])
        name = "(for reference) decode beside a sleeping thread that has computed / without it"
        yield Figure(name, found.value, "×", None, interval=found.interval)
        for where in ("alone", "beside a busy process"):
            if where != "alone":
                running.enter_context(busy_neighbour())
            for what, seconds in sampled(processes):
                found = lockstep.ratio(seconds["chosen"], seconds["own"])
                name = f"{what} {where}: kvdemo's OpenMP setting / OpenMP's own"
                yield Figure(name, found.value, "×", targets.get(f"{what} {where}"), interval=found.interval)
