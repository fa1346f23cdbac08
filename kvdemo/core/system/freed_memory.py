"""Give memory that was freed back to the system, so that it counts as free there."""

from __future__ import annotations

import ctypes
import gc


def give_back() -> None:
    """Give back what is freed; where the C library offers no way to (only glibc does), nothing happens.

    glibc keeps freed blocks of up to 32 MB for the program, and a layer's keys are mostly smaller.
    """
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # another C library; Windows
        return
