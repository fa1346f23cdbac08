"""Keep the page and its descriptions for programs, and fill in the address under which they are asked for.

Gradio writes a quarter of a megabyte anew for each visitor, which takes the process that answers everybody 20 to 50 ms.
Its list of endpoints it keeps, but under the address that it was asked under first, which a stranger may have made up:
all others would read of his server. Only the address makes a difference in these answers. So each is made once, under
an address that nobody has, and the visitor's own is put in its places.

Gradio adds the page's own head when it begins to draw. Until then browsers have asked for an icon at the root of the
site, which behind a proxy is not the page's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass
from urllib.parse import parse_qs

import httpx
from gradio.route_utils import get_root_url
from gradio.routes import toorjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: The addresses of what is kept: the page, and for programs its configuration and its list of endpoints.
PAGE, INFO = "/", "/gradio_api/info"
KEPT = (PAGE, "/config", INFO, "/gradio_api/openapi.json")
#: Where Gradio makes the list of endpoints for itself, and would keep it.
_LOOKS_IT_UP = "/gradio_api/call/v2/"
#: The one part of a link that makes another answer: it is the list of all endpoints, those without a name among them.
_ALL = "all_endpoints"
LINK = b'<link rel="icon" href="./favicon.ico">'
_END_OF_HEAD = b"</head>"
#: The server that the page is made for. No network has names that end so (RFC 6761).
NOBODY = "kept-page.invalid"


@dataclass(frozen=True)
class _Answer:
    start: Message
    body: bytes

    @property
    def is_kept(self) -> bool:
        return self.start["status"] == 200 and self._type.startswith(("text/html", "application/json"))

    @property
    def _type(self) -> str:
        return Headers(raw=self.start["headers"]).get("content-type", "")

    def named(self) -> _Answer:
        """Add the link to the icon to a page."""
        if not self._type.startswith("text/html"):
            return self
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
    """Answers with what it has kept, lets the server make each the first time, and sends all else as it is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: dict[Hashable, _Answer] = {}
        self._making = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = _path(scope) if scope["type"] == "http" else ""
        if _LOOKS_IT_UP in path:
            await self._answer(_asked_by_nobody(scope, INFO), receive)
        if path not in KEPT or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        nobodys = _asked_by_nobody(scope, path)
        try:
            root, own = _root(nobodys), _root(scope)
        except (httpx.InvalidURL, ValueError):  # Gradio fails at it, too, before it makes a page
            await self._app(scope, receive, send)
            return
        answer = await self._answer(nobodys, receive)
        if answer.is_kept:
            answer = answer.under(root, own)
        await answer.send(send, head=scope["method"] == "HEAD")

    async def _answer(self, scope: Scope, receive: Receive) -> _Answer:
        """Return an answer as it is for nobody, or what the server answers instead of it."""
        app = scope["app"]
        shared = getattr(getattr(app, "blocks", None), "share", False)  # such a page has its scripts elsewhere
        asked = scope["path"], scope["query_string"]
        known_by = (*asked, scope.get("root_path", ""), getattr(app, "root_path", ""), shared)
        async with self._making:
            if known_by in self._kept:
                return self._kept[known_by]
            answer = await self._made(scope, receive)
            if answer.is_kept:
                self._kept[known_by] = answer
            return answer

    async def _made(self, scope: Scope, receive: Receive) -> _Answer:
        messages: list[Message] = []

        async def note(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, note)
        start, *parts = messages
        answer = _Answer(start, b"".join(part.get("body", b"") for part in parts))
        return answer.named() if answer.is_kept else answer


def _path(scope: Scope) -> str:
    """Return the path of a request as the app has it: without that of a proxy, and without a slash at its end."""
    path, root = str(scope["path"]), str(scope.get("root_path") or "")
    if root and path.startswith(f"{root}/"):
        path = path[len(root) :]
    return path.rstrip("/") or PAGE


def _asked_by_nobody(scope: Scope, path: str) -> Scope:
    """Return a request for `path` in which nothing is a visitor's own: no header, no link, no way of sending."""
    headers = [(b"host", NOBODY.encode())]
    of_all = path == INFO and parse_qs(scope["query_string"].decode("latin-1")).get(_ALL)
    query = f"{_ALL}=1".encode() if of_all else b""
    asked = {"method": "GET", "scheme": "http", "path": path, "raw_path": path.encode()}
    return {**scope, **asked, "headers": headers, "query_string": query, "extensions": {}}


def _root(scope: Scope) -> str:
    """Return the address that Gradio writes into its answers. Raises what it raises for one that cannot be."""
    app = scope["app"]
    path = getattr(app, "root_path", "") or scope.get("root_path") or _mounted_at(app)
    return get_root_url(Request({**scope, "path": PAGE, "query_string": b""}), PAGE, path)


def _mounted_at(app: ASGIApp) -> str | None:
    return getattr(getattr(app, "blocks", None), "custom_mount_path", None)


def _written(address: str) -> bytes:
    """Return an address as Gradio writes it into the page: a text in JSON in HTML, here without its quotes."""
    return str(toorjson(address))[1:-1].encode()
