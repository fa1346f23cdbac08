"""Know the app's own cache folder."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "KVDEMO_CACHE_DIR"


def cache_folder() -> Path:
    """Return the app's own cache: KVDEMO_CACHE_DIR, else the platform's cache folder for kvdemo."""
    named = os.environ.get(VARIABLE)
    if not named:
        from platformdirs import user_cache_dir  # noqa: PLC0415 - a machine for benchmarks may lack it

        named = user_cache_dir("kvdemo", appauthor=False)
    return Path(named).expanduser().absolute()
