"""Cases that Python and the browser must both pass: pytest and `node --test` read the same files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def cases(name: str) -> Any:
    """The cases of a file of this folder."""
    return json.loads(Path(__file__).with_name(f"{name}.json").read_text("utf-8"))
