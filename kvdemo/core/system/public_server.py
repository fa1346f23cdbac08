"""Know whether visitors of other machines reach this server. Standard library only."""

from __future__ import annotations

import os
import threading

from kvdemo.core.system import environment

#: The operator's word, 1 or 0. The process that serves the page tells the engine's process by it, too.
VARIABLE = "KVDEMO_PUBLIC"
_declared = threading.Event()


def declare() -> None:
    """Take this server for one that visitors of other machines reach, from now on."""
    _declared.set()


def is_public() -> bool:
    """Tell whether strangers reach this server: on a Space, or once it was declared; KVDEMO_PUBLIC (1 or 0) decides."""
    return environment.switch(VARIABLE, default="SPACE_ID" in os.environ or _declared.is_set())
