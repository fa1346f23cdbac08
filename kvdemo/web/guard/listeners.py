"""Know who came when, and who listens: for which sessions and events the server has a stream of events open.

Gradio runs an event whether anybody listens or not. A run asks here whether its session listens (`web.run_streams`).
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs

import gradio as gr
from starlette.types import ASGIApp, Receive, Scope, Send

#: Where a request has its server's listeners, and its number among all that came to that server.
KEY, ARRIVAL = "kvdemo.listeners", "kvdemo.arrival"
#: A page listens for its session, a program for one event, whose id Gradio takes for its session.
OF_SESSION, OF_EVENT = re.compile(r"/queue/data$"), re.compile(r"/call/(?:v2/)?[^/]+/([^/]+)$")


class Listeners:
    """Who listens to one server, counted while its requests are answered.

    It stands around all that Gradio answers, as middleware.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._streams: Counter[str] = Counter()
        self._arrivals = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: number it, and count it while it is a stream of events."""
        scope[KEY], scope[ARRIVAL] = self, next(self._arrivals)
        with self._counted(listens_to(scope)):
            await self._app(scope, receive, send)

    def has(self, session: str) -> bool:
        """Tell whether a session's events are listened to."""
        return session in self._streams

    @contextmanager
    def _counted(self, session: str) -> Iterator[None]:
        if not session:
            yield
            return
        self._streams[session] += 1
        try:
            yield
        finally:
            self._streams[session] -= 1
            if not self._streams[session]:
                del self._streams[session]


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
