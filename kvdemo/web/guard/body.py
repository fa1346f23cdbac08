"""Count the body of a request while it comes, and end one that is too large or too slow.

Look at it before anything reads it.
"""

from __future__ import annotations

import asyncio
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
TOO_SLOW = "The request came too slowly: send it again."
#: How long a body may take to come, and an upload: 16 MB over a slow line.
SECONDS, UPLOAD_SECONDS = 60.0, 300.0


class Body:
    """The body of a request, up to a size.

    seconds    how long it may take to come
    on_bytes   called with the bytes of each piece that came; may raise HTTPException
    on_more    called when more has come than was announced; may raise HTTPException
    bytes      those that came, or that were announced if more
    ended_at   when it came to its end, by the clock that only goes forward
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        most: int,
        *,
        seconds: float = SECONDS,
        on_bytes: Callable[[int], None] = lambda _: None,
        on_more: Callable[[], None] = lambda: None,
    ) -> None:
        self._receive, self._most, self._on_bytes, self._on_more = receive, most, on_bytes, on_more
        self._until: float | None = asyncio.get_running_loop().time() + seconds  # None: all of it has come
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
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, TOO_SLOW) from None
        if not message.get("more_body", False):
            self._until = None
        came = len(message.get("body", b""))
        self._on_bytes(came)
        self._came += came
        more = self._came > self.bytes
        self.bytes = max(self.bytes, self._came)
        if self.too_large:
            raise HTTPException(413, TOO_LARGE)
        if more:
            self._on_more()
        return message
