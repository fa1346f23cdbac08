"""Name the page's icon in the page as it is sent, below the page's own path.

Gradio adds the page's own head when it begins to draw. Until then browsers have asked for an icon at the root of the
site, which behind a proxy is not the page's.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINK = b'<link rel="icon" href="./favicon.ico">'
_END_OF_HEAD = b"</head>"


class NamedIcon:
    """Sends the page with the link to its icon, and everything else as it is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        begun: list[Message] = []

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                begun.append(message)
                return
            if begun:
                start = begun.pop()
                headers = MutableHeaders(scope=start)
                if headers.get("content-type", "").startswith("text/html"):
                    body = message.get("body", b"").replace(_END_OF_HEAD, LINK + _END_OF_HEAD, 1)
                    message = {**message, "body": body}
                    headers["content-length"] = str(len(body))
                await send(start)
            await send(message)

        await self._app(scope, receive, send_named)
