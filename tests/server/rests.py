"""Note when a race rests for a page."""

from __future__ import annotations

from typing import Any

import pytest

from kvdemo.server.run_events.batches import EventChannel


def noted_rests(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, float]]:
    """The events that races rest after from now on, and for how many seconds."""
    rested: list[tuple[Any, float]] = []
    send = EventChannel.send_and_rest

    def noting(channel: EventChannel[Any], event: Any, seconds: float) -> None:
        rested.append((event, seconds))
        send(channel, event, seconds)

    monkeypatch.setattr(EventChannel, "send_and_rest", noting)
    return rested
