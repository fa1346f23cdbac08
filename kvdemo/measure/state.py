"""Define how far a measurement is: what it reports while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class State:
    """How far a measurement is. `document` is there when it has changed."""

    text: str
    fraction: float | None = None
    remaining_s: float | None = None
    document: dict[str, Any] | None = None


Emit = Callable[[State], None]
