"""Configure what a server process logs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

#: Loggers whose lines strangers can cause, as many as they send requests: of the web server, of its sockets, of ours.
BY_STRANGERS = ("uvicorn.error", "asyncio", "kvdemo.web.guard.unreadable")
#: Seconds in which the same line comes once.
SELDOM_S = 10.0
#: So many different lines are known at a time.
_MOST = 100


def configure() -> None:
    """Log to the error stream from INFO on, but no request of a client, whose address may hold a secret, or of MCP."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for chatty in ("httpx", "httpx2", "mcp"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    for name in BY_STRANGERS:
        logging.getLogger(name).addFilter(Seldom())


class Seldom(logging.Filter):
    """Lets the same line through once in some seconds, with how many were left out: a log must not fill a disk.

    Lines are the same whose form is, whatever is filled in.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._known: dict[object, tuple[float, int]] = {}  # until when, and how many were left out; the oldest first

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line is written."""
        until, left_out = self._known.get(record.msg, (float("-inf"), 0))
        if self._clock() < until:
            self._known[record.msg] = until, left_out + 1
            return False
        self._known.pop(record.msg, None)
        self._known[record.msg] = self._clock() + SELDOM_S, 0
        if len(self._known) > _MOST:
            del self._known[next(iter(self._known))]
        if left_out:
            record.msg, record.args = f"{record.getMessage()} ({left_out:,} more of this kind before)", None
        return True
