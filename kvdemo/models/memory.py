"""Know how much memory there is and how much is free, and check that a model's weights fit into main memory.

Linux promises more memory than there is and kills the process later, so the size is checked before loading.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import torch
from safetensors import safe_open

from kvdemo.core.errors import BadInput
from kvdemo.core.figures import units

CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")


def check(name: str, files: list[Path], dtype: torch.dtype, beside: int = 0) -> None:
    """Raise BadInput where the weights in some safetensors files, as `dtype`, are larger than the main memory.

    `beside` are bytes of it that another model has and keeps.
    """
    there = main_memory()
    needed = sum(map(parameters, files)) * dtype.itemsize
    if there is not None and needed + beside > there:
        other = f", another model {units.megabytes(beside)}," if beside else ""
        raise BadInput(
            f"{name} needs {units.megabytes(needed)} of memory as {str(dtype).removeprefix('torch.')}{other} and "
            f"there are {units.megabytes(there)}: choose a smaller model or a 16-bit number format."
        )


def parameters(file: Path) -> int:
    """Count the numbers that a safetensors file holds, from its header."""
    with safe_open(file, framework="pt") as opened:
        return sum(math.prod(opened.get_slice(name).get_shape()) for name in opened.keys())  # noqa: SIM118


def main_memory() -> int | None:
    """Return the bytes of main memory, or of a container's share of it. None where the system does not say."""
    try:
        installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):  # Windows; a system without these names
        return None
    try:
        return min(installed, int(CONTAINER_LIMIT.read_text()))
    except (OSError, ValueError):  # no container; the limit "max"
        return installed


def free_bytes(device: torch.device) -> int | None:
    """Return the bytes that can still be taken on a device. None where it does not say.

    What torch has reserved on a GPU and does not use is free. An Apple GPU shares the main memory, and nothing says how
    much of it is free.
    """
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    return available() if device.type == "cpu" else None


def available() -> int | None:
    """Return the bytes that programs can still take without swapping. None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None
    try:
        used = int(CONTAINER_LIMIT.with_name("memory.current").read_text())
        return min(free, int(CONTAINER_LIMIT.read_text()) - used)
    except (OSError, ValueError):  # no container; the limit "max"
        return free
