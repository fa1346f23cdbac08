"""Send equal requests at once, stream the answer to the first of them, and time each.

Each request has a thread and a connection of its own, so that none waits for another one here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

from kvdemo.core.cancellation import CancelToken
from kvdemo.core.errors import BadInput
from kvdemo.core.figures.requests import RequestFigures, RequestTotals
from kvdemo.core.types import Step

Ask = Callable[[], Iterator[Step]]

#: Between two looks at the stop flag while requests are waited for.
_LOOK_SECONDS = 0.1

log = logging.getLogger(__name__)


class _Request:
    """One request: when it was sent, when its tokens came, and what they say."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.sent = self.first = self.last = 0.0
        self.tokens = 0
        self.text = ""
        self.whole = False
        self.error: str | None = None

    def follow(self, ask: Ask, stopped: threading.Event) -> Iterator[Step]:
        """Send it, and yield the answer's steps up to the most tokens; record each as it comes."""
        self.sent = time.perf_counter()
        try:
            for step in ask():
                self._add(step)
                yield step
                if self.whole or stopped.is_set():
                    return
            self.whole = not stopped.is_set()
        except BadInput as error:
            self.error = str(error)
            raise

    def _add(self, step: Step) -> None:
        self.last = time.perf_counter()
        self.first = self.first or self.last
        kept = (step.texts or ())[: self._most - self.tokens]
        self.tokens += len(kept)
        self.text += "".join(kept)
        self.whole = self.tokens >= self._most

    def figures(self, text: str) -> RequestFigures:
        """Return the figures; `text` is that of the first request."""
        if self.error is not None or not self.tokens:
            return RequestFigures(self.tokens, None, None, None, False, self.error or "It wrote nothing.")
        first, whole = self.first - self.sent, self.last - self.sent
        further = (whole - first) / (self.tokens - 1) if self.tokens > 1 else None
        return RequestFigures(self.tokens, first, further, whole, self.text == text)


class EqualRequests:
    """Equal requests that are sent at once. `most` is the number of tokens that each is asked for.

    The others go on when the first one has ended. They are given up when it is: at their next event, since a
    connection that waits can only be closed by the thread that reads it.
    """

    def __init__(self, ask: Ask, count: int, most: int) -> None:
        self._ask = ask
        self._requests = [_Request(most) for _ in range(count)]
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._drain, args=(request,), name="request", daemon=True)
            for request in self._requests[1:]
        ]

    def first(self) -> Iterator[Step]:
        """Send all of them, and yield the steps of the first. Raises BadInput where it fails."""
        for thread in self._threads:
            thread.start()
        try:
            yield from self._requests[0].follow(self._ask, self._stopped)
        finally:
            if not self._requests[0].whole:
                self._stopped.set()

    def _drain(self, request: _Request) -> None:
        try:
            for _ in request.follow(self._ask, self._stopped):
                pass
        except BadInput:
            pass  # it is in the request's figures
        except Exception as error:
            log.exception("a request failed")
            request.error = type(error).__name__

    def wait(self, stop: CancelToken) -> RequestTotals | None:
        """Wait until all have ended; None for a single one, and where the first was given up or `stop` was set."""
        for thread in self._threads:
            while thread.is_alive() and not self._stopped.is_set():
                if stop.is_set():
                    self._stopped.set()
                thread.join(_LOOK_SECONDS)
        if not self._threads or self._stopped.is_set() or not self._requests[0].whole:
            return None
        ended = [request for request in self._requests if request.error is None and request.tokens]
        seconds = max(request.last for request in ended) - min(request.sent for request in ended)
        return RequestTotals.of([request.figures(self._requests[0].text) for request in self._requests], seconds)

    def give_up(self, seconds: float, stop: CancelToken) -> None:
        """Give up what still runs, and wait up to so many seconds for the connections to close, unless stopped."""
        self._stopped.set()
        end = time.perf_counter() + seconds
        for thread in self._threads:
            while thread.is_alive() and not stop.is_set() and (left := end - time.perf_counter()) > 0:
                thread.join(min(left, _LOOK_SECONDS))
