"""From the instrument to whoever looks on: each document is kept, and told while nothing is timed.

On a small machine the page's work and the decoding share the cores, and a browser may be on the same machine too. So
the instrument speaks between two steps, and stands still until the page has heard it and everything is at rest again.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from kvdemo.engine.timer import Clock
from kvdemo.measure import store
from kvdemo.measure.measurement import State
from kvdemo.server.event_stream import EventChannel

#: Runs may take milliseconds; to stand still after each of them would take longer than all of them.
LEAST_SECONDS_BETWEEN = 1.0
#: How long it takes to send a few words, and for a browser to draw a report.
SENDING_SECONDS, DRAWING_SECONDS = 0.05, 0.5


class Relay:
    """What a measurement emits its states to. `document` is the latest one; empty before there is any."""

    def __init__(self, tell: EventChannel[Any], clock: Clock = time.monotonic) -> None:
        self.document: dict[str, Any] = {}
        self._tell, self._clock = tell, clock
        self._told = float("-inf")
        self._untold: dict[str, Any] | None = None

    def __call__(self, state: State) -> None:
        """Keep the state's document, and hand the state over unless the last one was only just told."""
        if state.document:
            self.document = self._untold = state.document
            store.save(state.document)
        over = bool(state.document) and self.document["status"] != "running"
        if self._clock() - self._told < LEAST_SECONDS_BETWEEN and not over:
            return
        told, self._untold = replace(state, document=self._untold), None
        self._tell.send_and_wait(told, DRAWING_SECONDS if told.document and not over else SENDING_SECONDS)
        self._told = self._clock()

    def broke_off(self) -> None:
        """An accident ended the measurement: what is kept says so."""
        if self.document:
            store.save(self.document | {"status": "failed", "error": "It broke off: the server's log says why."})
