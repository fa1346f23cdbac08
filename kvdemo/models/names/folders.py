"""Decide whether a model may be named by a folder of this machine. Standard library only."""

from __future__ import annotations

from kvdemo.core.system import environment, public_server

VARIABLE = "KVDEMO_ALLOW_FOLDERS"


def allowed() -> bool:
    """Tell whether a model may be named by a folder.

    KVDEMO_ALLOW_FOLDERS (1 or 0) says it. Otherwise folders are open on a user's own computer, and closed on a
    server that strangers reach (`core.system.public_server`): an answer would tell what exists there.
    """
    return environment.switch(VARIABLE, default=not public_server.is_public())
