"""Keep the page's HTML, with its icon named in it, for whoever asks for it next under the same address.

Gradio writes a quarter of a megabyte anew for each visitor, which takes the process that answers everybody 20 ms. Only
the address under which the page is asked for makes a difference in it.

Gradio adds the page's own head when it begins to draw. Until then browsers have asked for an icon at the root of the
site, which behind a proxy is not the page's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINK = b'<link rel="icon" href="./favicon.ico">'
_END_OF_HEAD = b"</head>"
#: For so many addresses the page is kept: a server has one or two, strangers make up others.
MOST = 16
#: From these headers Gradio makes the address that it writes into the page.
ADDRESS = ("host", "x-forwarded-host", "x-forwarded-proto", "x-gradio-server")
#: What Gradio itself reads in a link. A page that was asked for with one of these is not kept.
OF_GRADIO = {"all_endpoints", "deep_link", "page"}


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
        body = self.body.replace(_END_OF_HEAD, LINK + _END_OF_HEAD, 1)
        headers = MutableHeaders(raw=list(self.start["headers"]))
        headers["content-length"] = str(len(body))
        return _Answer({**self.start, "headers": headers.raw}, body)

    async def send(self, send: Send) -> None:
        await send({**self.start, "headers": list(self.start["headers"])})  # what stands around this adds to them
        await send({"type": "http.response.body", "body": self.body})


class KeptPage:
    """Answers with the page that it has kept, lets the server make one that it has not, and sends all else as it is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: OrderedDict[Hashable, _Answer] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        known_by = _known_by(scope)
        answer = self._kept.get(known_by) or await self._made(scope, receive)
        if known_by and answer.is_page:
            self._kept[known_by] = answer
            self._kept.move_to_end(known_by)
            if len(self._kept) > MOST:
                self._kept.popitem(last=False)
        await answer.send(send)

    async def _made(self, scope: Scope, receive: Receive) -> _Answer:
        messages: list[Message] = []

        async def note(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, note)
        start, *parts = messages
        answer = _Answer(start, b"".join(part.get("body", b"") for part in parts))
        return answer.named() if answer.is_page else answer


def _known_by(scope: Scope) -> Hashable:
    """Return all that a page depends on; None for one that is made for a single request."""
    if OF_GRADIO & {name for name, _ in parse_qsl(scope["query_string"].decode("latin-1"))}:
        return None
    headers = Headers(scope=scope)
    shared = getattr(getattr(scope["app"], "blocks", None), "share", False)  # such a page has its scripts elsewhere
    server = tuple(scope.get("server") or ())
    return (scope["scheme"], server, scope.get("root_path", ""), *map(headers.get, ADDRESS), shared)
