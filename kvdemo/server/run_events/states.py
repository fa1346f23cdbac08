"""Make one state for the page of a batch of events: the last of what each kind of them says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kvdemo.core.events import PanelsShown, Progress, TurnCame


def measure_state(batch: Sequence[Any]) -> dict[str, Any]:
    """Return a measurement's state: text, fraction, remaining_s, the document if it has changed, and waited_s."""
    told = [event for event in batch if not isinstance(event, TurnCame)]
    last = told[-1] if told else Progress("Starting")
    documents = [event.document for event in told if not isinstance(event, Progress) and event.document]
    return {
        "text": last.text,
        "fraction": last.fraction,
        "remaining_s": None if isinstance(last, Progress) else last.remaining_s,
        "document": documents[-1] if documents else None,
        "waited_s": _waited(batch),
    }


def inside_state(batch: Sequence[Any]) -> dict[str, Any]:
    """Return the state of a look inside: text, fraction, the document if it has changed, and waited_s."""
    documents = [event.document for event in batch if isinstance(event, PanelsShown)]
    progress = [event for event in batch if isinstance(event, Progress)][-1:]
    return {
        "text": progress[0].text if progress else "",
        "fraction": progress[0].fraction if progress else None,
        "document": documents[-1] if documents else None,
        "waited_s": _waited(batch),
    }


def _waited(batch: Sequence[Any]) -> float | None:
    """Return for how long the run waited for the device, in the batch in which its turn came."""
    return next((event.waited_s for event in batch if isinstance(event, TurnCame)), None)
