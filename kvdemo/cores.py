"""Sharing the processor with whoever else is on it: a browser, for one, that draws what is being decoded.

torch's CPU kernels hand work to OpenMP threads, hundreds of times a token, and whoever is done first waits for the
others. GNU's OpenMP waits by spinning for milliseconds: quick on an idle machine, but where another program needs
the core, the spinning thread keeps it from the very thread that is waited for, and a step takes many times as long.
Threads that sleep while they wait end that (`python -m benchmarks contention`).

Waking a thread costs microseconds, and they add up with the number of threads. The figures are from two cores; on
more than four, threads spin for a moment before they sleep.
"""

from __future__ import annotations

import os
import sys

#: What OpenMP reads of how its threads wait.
SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
SLEEP = {"OMP_WAIT_POLICY": "passive"}
SPIN_SHORTLY = {"GOMP_SPINCOUNT": "4000"}  # about 0.2 ms
FEW_CORES = 4

_chosen: dict[str, str] = {}


def share() -> None:
    """Let waiting OpenMP threads give up their core soon, unless the user has decided otherwise.

    The OpenMP library reads this when it is loaded, so it must be called before torch is imported. Later it does
    nothing: a setting without effect would be stated in documents.
    """
    if "torch" in sys.modules or any(name in os.environ for name in SETTINGS):
        return
    _chosen.update(SLEEP if available() <= FEW_CORES else SPIN_SHORTLY)
    os.environ.update(_chosen)


def available() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def waiting() -> str:
    """How OpenMP's threads wait and who decided it, for the environment of a document."""
    found = {name: os.environ[name] for name in SETTINGS if name in os.environ}
    if not found:
        return "the library's own waiting (nothing is set)"
    who = "kvdemo's choice" if found == _chosen else "from the environment"
    return f"{' '.join(f'{name}={value}' for name, value in found.items())} ({who})"
