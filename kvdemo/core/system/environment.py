"""Name the environment variables that set kvdemo up, and refuse one that is misspelt. Standard library only.

An operator who misspells KVDEMO_PUBLIC, or writes `off` for 0, would otherwise have a server that does not know that
strangers reach it. docs/deploy.md says what each variable means.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from difflib import get_close_matches

from kvdemo.core.errors import BadInput

PREFIX = "KVDEMO_"
#: Those that are 1 or 0.
SWITCHES = ("KVDEMO_PUBLIC", "KVDEMO_ALLOW_FOLDERS", "KVDEMO_CUDNN_ATTENTION", "KVDEMO_METRICS", "KVDEMO_MCP")
NAMES = (
    "KVDEMO_MODEL", "KVDEMO_DEVICE", "KVDEMO_DTYPE", "KVDEMO_ENGINE", "KVDEMO_DRAFT_MODEL", "KVDEMO_CACHE_DIR",
    "KVDEMO_REMOTE_URL", "KVDEMO_REMOTE_MODEL", "KVDEMO_REMOTE_KEY", "KVDEMO_REMOTE_URLS", "KVDEMO_MODELS",
    "KVDEMO_LOG", *SWITCHES,
)  # fmt: skip
#: What a variable begins with whose end the operator chooses, or is checked elsewhere (`kvdemo.server.limits`).
FAMILIES = (*(f"{one}_" for one in ("KVDEMO_REMOTE_MODEL", "KVDEMO_REMOTE_KEY")), "KVDEMO_MAX_")
#: From this likeness on, of at most 1, one name is the other one misspelt.
_ALIKE = 0.75


def decodes_in_thread() -> bool:
    """Tell whether the engine shall run in a thread of the page's process. Raises BadInput for an unknown word."""
    value = os.environ.get("KVDEMO_ENGINE", "").strip()
    if value not in ("", "process", "thread"):
        raise BadInput(f"KVDEMO_ENGINE must be process or thread, not {value!r}.")
    return value == "thread"


def switch(variable: str, *, default: bool = False) -> bool:
    """Read a variable that is 1 or 0; `default` where it is not set. Raises BadInput for anything else."""
    value = os.environ.get(variable, "").strip()
    if value not in ("", "0", "1"):
        raise BadInput(f"{variable} must be 1 or 0, not {value!r}.")
    return value == "1" if value else default


def check(variables: Iterable[str]) -> list[str]:
    """List the names among `variables` that begin like ours and mean nothing here: a plugin may read them.

    Raises BadInput for a name that is nearly one of ours, and for a switch or an engine that is none.
    """
    decodes_in_thread()
    for name in SWITCHES:
        switch(name)
    ends = [name.removeprefix(PREFIX) for name in NAMES]
    others = [
        name for name in variables if name.startswith(PREFIX) and name not in NAMES and not name.startswith(FAMILIES)
    ]
    for name in others:
        if found := get_close_matches(name.removeprefix(PREFIX), ends, n=1, cutoff=_ALIKE):
            raise BadInput(f"There is no variable {name}: did you mean {PREFIX}{found[0]}?")
    return others
