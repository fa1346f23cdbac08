"""Read an environment variable that holds named values: `vllm=http://a:8000/v1,sglang=http://b:30000/v1`.

A value may hold a secret, so no sentence repeats one.
"""

from __future__ import annotations

import os
import re

from kvdemo.core.errors import BadInput

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def read(variable: str) -> dict[str, str]:
    """Return the values by name, in their order; {} where the variable is not set. Raises BadInput."""
    found: dict[str, str] = {}
    for entry in filter(None, map(str.strip, os.environ.get(variable, "").split(","))):
        name, equals, value = (part.strip() for part in entry.partition("="))
        if not (equals and value and _NAME.fullmatch(name)):
            raise BadInput(
                f"{variable} cannot be read: write it as name=value,name=value, with names of small letters, digits "
                "and _."
            )
        if name in found:
            raise BadInput(f"{variable} has two values named {name}: give each a name of its own.")
        found[name] = value
    return found


def names(variable: str) -> tuple[str, ...]:
    """Return the names alone; () where the variable cannot be read."""
    try:
        return tuple(read(variable))
    except BadInput:
        return ()
