"""Count the body of a request while it comes, and end one that is too large."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

TOO_LARGE = "The request is too large: send less."


class Body:
    """The body of a request, up to a size.

    on_more    called when more has come than was announced; may raise HTTPException
    bytes      those that came, or that were announced if more
    ended_at   when it came to its end, by the clock that only goes forward
    """

    def __init__(self, scope: Scope, receive: Receive, most: int, on_more: Callable[[], None] = lambda: None) -> None:
        self._receive, self._most, self._on_more = receive, most, on_more
        length = Headers(scope=scope).get("content-length", "0")
        self.bytes = int(length) if length.isdigit() and len(length) < 20 else most + 1
        self.ended_at = math.inf
        self._came = 0

    def end(self) -> None:
        """Forget what was announced and did not come."""
        self.bytes, self.ended_at = self._came, time.monotonic()

    @property
    def too_large(self) -> bool:
        return self.bytes > self._most

    async def __call__(self) -> Message:
        message = await self._receive()
        self._came += len(message.get("body", b""))
        more = self._came > self.bytes
        self.bytes = max(self.bytes, self._came)
        if self.too_large:
            raise HTTPException(413, TOO_LARGE)
        if more:
            self._on_more()
        return message
