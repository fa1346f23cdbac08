"""Limit how long OpenMP's threads spin while they wait, so that a step stays quick beside other programs.

torch's CPU kernels hand work to OpenMP threads hundreds of times a token, and the first to finish wait for the
others. GNU's OpenMP waits by spinning for milliseconds. That is quick on an idle machine. Where another program needs
the core (a browser that draws what is being decoded), the spinning thread keeps it from the thread that is waited for,
and a step takes many times as long. A shorter spin limits that where more programs want cores than there are.

Measured on two cores of an Intel Xeon against OpenMP's own spin (`python -m benchmarks contention`), steps in bursts of
eight: with 20,000 spins a decoding step took 1.00 of the time [0.995, 1.012] with the machine to itself, 0.64
[0.59, 0.80] beside two or three busy programs, and 1.24 [1.16, 1.31] beside one, where the kernel gives a core to who
never sleeps. A shorter spin costs too much alone: 1.2 with 4,000 spins, 1.3 with 2,000, 1.8 with 300, because this math
library runs a product of one row on two threads, and the second must be woken for each. Threads that sleep at once
(OMP_WAIT_POLICY=passive) are like 20,000 spins in a row of steps, and take 1.5 for a step after a rest.

Every thread that has computed keeps OpenMP threads of its own for as long as it lives. Once there are more of them than
cores, they hardly spin, whatever is set (`gomp_throttled_spin_count_var` in libgomp's `config/linux/wait.h`). With one
sleeping thread that had computed, a step took 1.60 of the time [1.56, 1.70], by the same benchmark. So whoever gives
the device back ends his OpenMP threads first: his own thread may live on beside the next run.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from pathlib import Path

#: What OpenMP reads of how its threads wait.
SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
CHOICE = {"GOMP_SPINCOUNT": "20000"}
#: `omp_pause_soft` in the omp.h that comes with libgomp, of GCC 9 and later.
_PAUSE_SOFT = 1

chosen: dict[str, str] = {}


def limit_spinning() -> None:
    """Let waiting OpenMP threads give up their core soon, unless the user has set their waiting.

    The OpenMP library reads this when it is loaded, so this must be called before torch is imported. Later it does
    nothing, because documents would state a setting that has no effect.
    """
    if "torch" in sys.modules or any(name in os.environ for name in SETTINGS):
        return
    chosen.update(CHOICE)
    os.environ.update(chosen)


def wait_policy() -> str:
    """State how OpenMP's threads wait and who decided it, for the environment of a document."""
    found = {name: os.environ[name] for name in SETTINGS if name in os.environ}
    if not found:
        return "the library's own waiting (nothing is set)"
    who = "kvdemo's choice" if found == chosen else "from the environment"
    return f"{' '.join(f'{name}={value}' for name, value in found.items())} ({who})"


def end_threads() -> None:
    """End the OpenMP threads of the thread that calls this. It gets new ones when it next computes.

    Done for GNU's OpenMP on Linux, which torch's own packages bring. Elsewhere nothing happens.
    """
    for path in _gnu_libraries() if "torch" in sys.modules else ():
        with contextlib.suppress(OSError, AttributeError):  # deleted meanwhile, or older than OpenMP 5
            ctypes.CDLL(path).omp_pause_resource_all(_PAUSE_SOFT)  # what is loaded already, not a second time


def _gnu_libraries() -> set[str]:
    """Find the OpenMP libraries that this process has loaded so far."""
    try:
        lines = Path("/proc/self/maps").read_text("utf-8", errors="surrogateescape").splitlines()
    except OSError:  # not on Linux
        return set()
    return {path for line in lines if Path(path := line.split(None, 5)[-1]).name.startswith("libgomp")}
