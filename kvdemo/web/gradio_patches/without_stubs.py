"""Import Gradio without the type stubs that it writes: with Python 3.11 they take almost half of the start.

Gradio writes a type stub (.pyi) for each of its components whenever it is imported, and parses its own sources for
that. Only editors use the stubs. Gradio skips components whose source file cannot be found, so during the import the
files of its components are hidden.
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
