"""Limit how many requests of an address are open at once, and the bytes of those that still come.

A request is read when all of it has come, and a stream of events is open for as long as its reader likes. So whoever
begins a thousand large requests and ends none, or opens ten thousand streams, would fill the memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.exceptions import HTTPException

from kvdemo.core.shares import Quota

#: Requests that may be open, of an address, which a class may share, and of all: each page has a stream or two.
REQUESTS = Quota(500, 4000)
#: Bytes that came with them and are in memory.
BYTES = Quota(12_000_000, 48_000_000, little=100_000)
CROWDED = "Too many requests from your address are open: close some, and try again."
HEAVY = "The requests that are being sent are too large together: send less, or try again in a moment."


class OpenRequests:
    """The requests that are open, by address."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def is_full(self, address: str, *, shared: bool) -> bool:
        """Tell whether an address has more of them than it may.

        One that is `shared`, by which a proxy may bring everybody, has no share.
        """
        own, of_all = self._open[address], self._open.total()
        return of_all > REQUESTS.of_all if shared else not REQUESTS.allows(own, of_all)

    @contextmanager
    def one(self, address: str) -> Iterator[Callable[[int], None]]:
        """Count a request for as long as it is open.

        Gives what is to be called with the bytes of each piece of its body that came. That raises HTTPException where
        they are too many.
        """
        came = 0

        def more(number: int) -> None:
            nonlocal came
            own = self._bytes[address] + number
            if not BYTES.allows(own, self._bytes.total() + number):
                raise HTTPException(429, HEAVY)
            came += number
            self._bytes[address] = own

        self._open[address] += 1
        try:
            yield more
        finally:
            _less(self._open, address, 1)
            _less(self._bytes, address, came)


def _less(counter: Counter[str], address: str, number: int) -> None:
    counter[address] -= number
    if not counter[address]:
        del counter[address]
