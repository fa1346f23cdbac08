"""Sharing the processor with whoever else is on it: a browser, for one, that draws what is being decoded.

torch's CPU kernels hand work to OpenMP threads, hundreds of times a token, and whoever is done first waits for the
others. GNU's OpenMP waits by spinning for milliseconds: quick on an idle machine, but where another program needs
the core, the spinning thread keeps it from the very thread that is waited for, and a step takes ten times as long.
A short spin ends that (`python -m benchmarks contention`).
"""

from __future__ import annotations

import os

SPINS = "4000"  # about 0.2 ms


def share() -> None:
    """Let waiting OpenMP threads give up their core soon, unless the user has decided otherwise.

    The OpenMP library reads this when it is loaded, so it must be called before torch is imported.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
