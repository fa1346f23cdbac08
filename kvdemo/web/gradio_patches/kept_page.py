"""Keep the page's HTML, with its icon named in it, and fill in the address under which it is asked for.

Gradio writes a quarter of a megabyte anew for each visitor, which takes the process that answers everybody 20 to 50 ms.
Only the address under which the page is asked for makes a difference in it, and a stranger may make up a new one each
time. So the page is made once, under an address that nobody has, and the visitor's own is put in its places.

Gradio adds the page's own head when it begins to draw. Until then browsers have asked for an icon at the root of the
site, which behind a proxy is not the page's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass

import httpx
from gradio.route_utils import get_root_url
from gradio.routes import toorjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINK = b'<link rel="icon" href="./favicon.ico">'
_END_OF_HEAD = b"</head>"
#: The server that the page is made for. No network has names that end so (RFC 6761).
NOBODY = "kept-page.invalid"


@dataclass(frozen=True)
class _Answer:
    start: Message
    body: bytes

    @property
    def is_page(self) -> bool:
        headers = Headers(raw=self.start["headers"])
        return self.start["status"] == 200 and headers.get("content-type", "").startswith("text/html")

    def named(self) -> _Answer:
        """Add the link to the icon."""
        return self.of(self.body.replace(_END_OF_HEAD, LINK + _END_OF_HEAD, 1))

    def under(self, root: str, other: str) -> _Answer:
        """Put an address in the place of another."""
        return self.of(self.body.replace(_written(root), _written(other)))

    def of(self, body: bytes) -> _Answer:
        headers = MutableHeaders(raw=list(self.start["headers"]))
        headers["content-length"] = str(len(body))
        return _Answer({**self.start, "headers": headers.raw}, body)

    async def send(self, send: Send, *, head: bool) -> None:
        await send({**self.start, "headers": list(self.start["headers"])})  # what stands around this adds to them
        await send({"type": "http.response.body", "body": b"" if head else self.body})


class KeptPage:
    """Answers with the page that it has kept, lets the server make the first one, and sends all else as it is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: dict[Hashable, _Answer] = {}
        self._making = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        nobodys = _asked_by_nobody(scope)
        try:
            root, own = _root(nobodys), _root(scope)
        except (httpx.InvalidURL, ValueError):  # Gradio fails at it, too, before it makes a page
            await self._app(scope, receive, send)
            return
        answer = await self._page(nobodys, receive)
        if answer.is_page:
            answer = answer.under(root, own)
        await answer.send(send, head=scope["method"] == "HEAD")

    async def _page(self, scope: Scope, receive: Receive) -> _Answer:
        """Return the page as it is for nobody, or what the server answers instead of one."""
        app = scope["app"]
        shared = getattr(getattr(app, "blocks", None), "share", False)  # such a page has its scripts elsewhere
        known_by = (scope.get("root_path", ""), getattr(app, "root_path", ""), shared)
        async with self._making:
            if known_by in self._kept:
                return self._kept[known_by]
            answer = await self._made(scope, receive)
            if answer.is_page:
                self._kept[known_by] = answer
            return answer

    async def _made(self, scope: Scope, receive: Receive) -> _Answer:
        messages: list[Message] = []

        async def note(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, note)
        start, *parts = messages
        answer = _Answer(start, b"".join(part.get("body", b"") for part in parts))
        return answer.named() if answer.is_page else answer


def _asked_by_nobody(scope: Scope) -> Scope:
    """Return a request for the page in which nothing is a visitor's own: no header, no link, no way of sending."""
    headers = [(b"host", NOBODY.encode())]
    return {**scope, "method": "GET", "scheme": "http", "headers": headers, "query_string": b"", "extensions": {}}


def _root(scope: Scope) -> str:
    """Return the address that Gradio writes into the page. Raises what it raises for one that cannot be."""
    app = scope["app"]
    path = getattr(app, "root_path", "") or scope.get("root_path") or _mounted_at(app)
    return get_root_url(Request({**scope, "query_string": b""}), "/", path)


def _mounted_at(app: ASGIApp) -> str | None:
    return getattr(getattr(app, "blocks", None), "custom_mount_path", None)


def _written(address: str) -> bytes:
    """Return an address as Gradio writes it into the page: a text in JSON in HTML, here without its quotes."""
    return str(toorjson(address))[1:-1].encode()
