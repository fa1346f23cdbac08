"""Importing Gradio without its homework.

Gradio writes a type stub (.pyi) for each of its components whenever it is imported, and parses its own sources for
it: for editors, not for whoever runs it, and with Python 3.11 that is almost half of the time until the page is
up. It leaves out components whose source file cannot be named, so for the length of the import theirs cannot.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any
from unittest import mock


def import_gradio() -> None:
    """Import Gradio; call it before anything else does. Whatever else asks for a source file gets it."""
    getfile = inspect.getfile

    def unless_component(value: Any) -> str:
        if type(value).__name__ == "ComponentMeta":
            raise OSError("left out while Gradio is imported")
        return getfile(value)

    with mock.patch.object(inspect, "getfile", unless_component):
        importlib.import_module("gradio")
