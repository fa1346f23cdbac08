"""Tell what exceptions of any library mean: out of memory, damaged files."""

from __future__ import annotations

import torch

from kvdemo.core.errors import BadInput


class DamagedFiles(BadInput):
    """A model's files cannot be loaded as they are: fetching them again may help."""


def out_of_memory(error: BaseException) -> bool:
    """Tell whether the device, or the computer itself, had no memory left.

    CUDA has an exception of its own. The CPU allocator raises a plain RuntimeError ("... can't allocate
    memory: you tried to allocate N bytes"), and NumPy and Python raise MemoryError.
    """
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and ("can't allocate memory" in said or "out of memory" in said)
