"""Count the body of a request while it comes, and end one that is too large. Look at it before anything reads it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

from kvdemo.web.guard import parts

#: Where a request has the bytes of its body, once all of it has come.
BODY_BYTES = "kvdemo.body_bytes"
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
        self._taken: Message | None = None  # what `take` took and nobody has asked for

    async def take(self) -> None:
        """Take in all of it, to be handed on as one. Raises HTTPException where it is not to be read (`parts`)."""
        pieces = []
        message = await self()
        while message["type"] == "http.request":
            pieces.append(message.get("body", b""))
            if not message.get("more_body", False):
                message = {"type": "http.request", "body": b"".join(pieces)}
                break
            message = await self()
        if refused := parts.fault(message.get("body", b"")):
            raise HTTPException(*refused)
        self._taken = message

    def end(self) -> None:
        """Forget what was announced and did not come."""
        self.bytes, self.ended_at = self._came, time.monotonic()

    @property
    def too_large(self) -> bool:
        return self.bytes > self._most

    async def __call__(self) -> Message:
        if taken := self._taken:
            self._taken = None
            return taken
        message = await self._receive()
        self._came += len(message.get("body", b""))
        more = self._came > self.bytes
        self.bytes = max(self.bytes, self._came)
        if self.too_large:
            raise HTTPException(413, TOO_LARGE)
        if more:
            self._on_more()
        return message
