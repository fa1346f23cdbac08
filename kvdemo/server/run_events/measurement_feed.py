"""Store the documents of a measurement, and send its states to the page while nothing is timed.

On a small machine the page's work and the decoding share the cores, and a browser may be on the same machine too. So
a measurement sends a state between two steps, and waits until the page has drawn it and is idle again.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from kvdemo.engine.timer import Clock
from kvdemo.measure import store
from kvdemo.measure.state import State
from kvdemo.server.run_events.batches import EventChannel

#: Runs may take milliseconds; to stand still after each of them would take longer than all of them.
LEAST_SECONDS_BETWEEN = 1.0
#: How long it takes to send a few words, and for a browser to draw a report.
SENDING_SECONDS, DRAWING_SECONDS = 0.05, 0.5


class MeasurementFeed:
    """Receives the states of a measurement. `document` is the latest one; empty before there is any."""

    def __init__(self, tell: EventChannel[Any], clock: Clock = time.monotonic) -> None:
        self.document: dict[str, Any] = {}
        self._tell, self._clock = tell, clock
        self._sent_at = float("-inf")
        self._unsent: dict[str, Any] | None = None

    def __call__(self, state: State) -> None:
        """Store the state's document if there is a run in it, and send the state, at most once a second."""
        if state.document:
            self.document = self._unsent = state.document
            self._store(state.document)
        over = bool(state.document) and self.document["status"] != "running"
        if self._clock() - self._sent_at < LEAST_SECONDS_BETWEEN and not over:
            return
        sent, self._unsent = replace(state, document=self._unsent), None
        self._tell.send_and_wait(sent, DRAWING_SECONDS if sent.document and not over else SENDING_SECONDS)
        self._sent_at = self._clock()

    def broke_off(self) -> None:
        """Store that an exception ended the measurement."""
        if self.document:
            self._store(self.document | {"status": "failed", "error": "It broke off: the server's log says why."})

    def _store(self, document: dict[str, Any]) -> None:
        if store.is_worth_keeping(document):
            store.save(document)
