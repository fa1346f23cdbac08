"""Sharing the processor with whoever else is on it: a browser, for one, that draws what is being decoded.

torch's CPU kernels hand work to OpenMP threads, hundreds of times a token, and whoever is done first waits for the
others. GNU's OpenMP waits by spinning for milliseconds: quick on an idle machine, but where another program needs
the core, the spinning thread keeps it from the very thread that is waited for, and a step takes many times as long.
A shorter spin is meant to limit that. How much it does is not settled: on two cores beside one busy program, 20,000
spins took from 0.2 to 1.9 times as long as OpenMP's own spin.

It must not be too short: where the math library runs a product of one row on several threads, a thread that has gone to
sleep must be woken for each of them. On two cores of an Intel Xeon, a decoding step with the machine to itself took,
against OpenMP's own spin: 1.01 times as long with 20,000 spins, 1.44 with 4,000, and 1.59 with threads that sleep at
once (OMP_WAIT_POLICY=passive). `python -m benchmarks contention` measures the choice, alone and beside a busy program.
"""

from __future__ import annotations

import os
import sys

#: What OpenMP reads of how its threads wait.
SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
CHOICE = {"GOMP_SPINCOUNT": "20000"}

_chosen: dict[str, str] = {}


def share() -> None:
    """Let waiting OpenMP threads give up their core soon, unless the user has decided otherwise.

    The OpenMP library reads this when it is loaded, so it must be called before torch is imported. Later it does
    nothing: a setting without effect would be stated in documents.
    """
    if "torch" in sys.modules or any(name in os.environ for name in SETTINGS):
        return
    _chosen.update(CHOICE)
    os.environ.update(_chosen)


def waiting() -> str:
    """How OpenMP's threads wait and who decided it, for the environment of a document."""
    found = {name: os.environ[name] for name in SETTINGS if name in os.environ}
    if not found:
        return "the library's own waiting (nothing is set)"
    who = "kvdemo's choice" if found == _chosen else "from the environment"
    return f"{' '.join(f'{name}={value}' for name, value in found.items())} ({who})"
