"""Know who came when, and who listens: for which sessions and events the server has a stream of events open.

Gradio runs an event whether anybody listens or not. A run asks here whether its session listens (`web.run_streams`).
Streams are sent piece by piece: of one that nobody reads the web server holds no more than a piece, and none once it is
ended (`gradio_patches.unread_answers`).
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs

import gradio as gr
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Where a request has its server's listeners, and its number among all that came to that server.
KEY, ARRIVAL = "kvdemo.listeners", "kvdemo.arrival"
#: A program asks first and listens then; it has so long for that.
BEGIN_SECONDS = 10.0
#: Bytes of a stream that are handed to the web server at once.
PIECE = 65_536
#: A page listens for its session, a program for one event, whose id Gradio takes for its session.
OF_SESSION, OF_EVENT = re.compile(r"/queue/data$"), re.compile(r"/call/(?:v2/)?[^/]+/([^/]+)$")


class Listeners:
    """Who listens to one server, counted while its requests are answered.

    It stands around all that Gradio answers, as middleware.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._streams: dict[str, set[_Stream]] = {}
        self._arrivals = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: number it, and count it while it is a stream of events."""
        scope[KEY], scope[ARRIVAL] = self, next(self._arrivals)
        if not (session := listens_to(scope)):
            await self._app(scope, receive, send)
            return
        with self._counted(session, stream := _Stream(send)):
            await self._app(scope, receive, stream)

    def has(self, session: str) -> bool:
        """Tell whether a session's events are listened to."""
        return session in self._streams

    def unsent(self, session: str) -> int:
        """Return the bytes that streams of a session are sending, and that were not taken so far."""
        return sum(stream.unsent for stream in self._streams.get(session, ()))

    def end(self, session: str) -> None:
        """Send nothing more to a session's streams, whether somebody reads them or not."""
        for stream in self._streams.get(session, ()):
            stream.end()

    @contextmanager
    def _counted(self, session: str, stream: _Stream) -> Iterator[None]:
        self._streams.setdefault(session, set()).add(stream)
        try:
            yield
        finally:
            self._streams[session].discard(stream)
            if not self._streams[session]:
                del self._streams[session]


class _Stream:
    """Sends a stream of events. The web server waits without end for whoever does not read."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.ended, self.unsent = False, 0
        self._sending: asyncio.Timeout | None = None

    def end(self) -> None:
        """Send nothing more, nor wait until the last piece is taken."""
        self.ended = True
        if self._sending:
            self._sending.reschedule(0)

    async def __call__(self, message: Message) -> None:
        """Send a message piece by piece, as far as it comes before the stream is ended."""
        body = message.get("body", b"")
        try:
            for start in range(0, len(body) or 1, PIECE):
                self.unsent = len(body) - start
                more = start + PIECE < len(body) or message.get("more_body", False)
                piece = {"body": body[start : start + PIECE], "more_body": more} if "body" in message else {}
                await self._until_ended({**message, **piece})
        finally:
            self.unsent = 0

    async def _until_ended(self, message: Message) -> None:
        """Send a piece. Nothing else runs where the server takes it at once: its reader might leave meanwhile."""
        if self.ended:
            return
        try:
            async with asyncio.timeout(None) as self._sending:
                await self._send(message)
        except TimeoutError:
            if not self.ended:
                raise
        finally:
            self._sending = None


def listens_to(scope: Scope) -> str:
    """Return the session whose events a request streams; "" if it streams none."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return ""
    if OF_SESSION.search(scope["path"]):
        return (parse_qs(scope["query_string"].decode("latin-1")).get("session_hash") or [""])[0]
    event = OF_EVENT.search(scope["path"])
    return event[1] if event else ""


def has_listener(request: gr.Request) -> bool:
    """Tell whether the sender of a request listens to its results; true if listeners are not counted."""
    listeners = request.request.scope.get(KEY) if request.request else None
    return listeners is None or not request.session_hash or listeners.has(request.session_hash)


def arrival(request: gr.Request) -> int | None:
    """Return the number of a request among all that came to its server; None if requests are not numbered."""
    return request.request.scope.get(ARRIVAL) if request.request else None
