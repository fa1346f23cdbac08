"""Measure the most memory that a region of code has held at one time.

On a CUDA device torch's allocator counts: its peak is exact, holds for this process alone, and contains what was there
before the region began (the model's weights). On a CPU it is not measured: the process's peak never falls, and contains
the page, the server and every library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

NOT_MEASURED = "Peak memory is not measured on a CPU: the process shares it with the page."


@dataclass
class Peak:
    """Bytes allocated at the highest point, weights included; None until the region is left, or with a `note`."""

    bytes: int | None = None
    note: str | None = None


@contextmanager
def peak(device: torch.device, idle: Callable[[], int] = lambda: 0) -> Iterator[Peak]:
    """Measure the peak of what the body allocates on `device`; read it from the yielded object after the body.

    `idle` states the bytes that are kept there for other lanes and that the body does not use: they are no part of
    what it needs. It is asked when the body is done. Regions must not overlap: there is one counter a device, and each
    region sets it back.
    """
    if device.type != "cuda":
        yield Peak(note=NOT_MEASURED)
        return
    torch.cuda.reset_peak_memory_stats(device)
    measured = Peak()
    try:
        yield measured
    finally:
        measured.bytes = torch.cuda.max_memory_allocated(device) - idle()
