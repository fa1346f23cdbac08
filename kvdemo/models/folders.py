"""Decide whether a model may be named by a folder of this machine. Standard library only."""

from __future__ import annotations

import os
import threading

VARIABLE = "KVDEMO_ALLOW_FOLDERS"
_closed = threading.Event()


def close() -> None:
    """Let no model be named by a folder from now on: visitors of other machines reach this server."""
    _closed.set()


def allowed() -> bool:
    """Tell whether a model may be named by a folder, by whoever asks.

    KVDEMO_ALLOW_FOLDERS (1 or 0) says it. Else folders are the user's on a user's own computer, and nobody's on a Space
    or on a server that visitors of other machines reach (`close`): an answer would tell what exists there.
    """
    said = os.environ.get(VARIABLE, "")
    return said not in ("0", "false", "no") if said else "SPACE_ID" not in os.environ and not _closed.is_set()
