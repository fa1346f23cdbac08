"""Keep compiled code for the next process: torch's own caches, in the app's cache folder.

Compiling takes from seconds to minutes. Torch keeps what it has compiled in a folder of the temporary directory, which
is emptied at the next start of a computer or a container. Here it is kept with the app's other files, by version of
torch. If that disk is full or cannot be written, the code is not kept, and the lane runs all the same.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
from pathlib import Path

import torch

from kvdemo.models.sources import own_cache

log = logging.getLogger(__name__)

_SETTING = "TORCHINDUCTOR_CACHE_DIR"
#: The code of a model takes a few megabytes.
_ROOM_BYTES = 50_000_000


def folder() -> Path:
    """Return where this version of torch keeps its compiled code."""
    return own_cache.cache_folder() / "compiled" / f"torch-{torch.__version__}"


def prepare() -> None:
    """Have torch keep what it compiles; before its first compilation. A folder that the user has set stays."""
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir  # noqa: PLC0415 - only for who compiles

    if os.environ.get(_SETTING, default_cache_dir()) != default_cache_dir():
        return
    try:
        folder().mkdir(parents=True, exist_ok=True)
        if not os.access(folder(), os.W_OK):
            raise PermissionError(f"{folder()} cannot be written")
        if shutil.disk_usage(folder()).free < _ROOM_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder()))
    except OSError as error:
        log.warning("Compiled code is not kept for the next start: %s", error)
        return
    os.environ[_SETTING] = str(folder())
