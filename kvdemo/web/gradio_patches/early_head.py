"""Put into the page as it is sent what browsers should know before Gradio draws: its icon, and which files it needs.

Gradio adds the page's own head when it begins to draw. Until then browsers have asked for an icon at the root of the
site, which behind a proxy is not the page's, and the network had nothing to do.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ICON = '<link rel="icon" href="./favicon.ico">'
_END_OF_HEAD = b"</head>"


class EarlyHead:
    """Sends the page with its icon and `links` in its head, and everything else as it is."""

    def __init__(self, app: ASGIApp, links: str = "") -> None:
        self._app = app
        self._head = f"{ICON}{links}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        begun: list[Message] = []

        async def send_with_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                begun.append(message)
                return
            if begun:
                start = begun.pop()
                headers = MutableHeaders(scope=start)
                if headers.get("content-type", "").startswith("text/html"):
                    body = message.get("body", b"").replace(_END_OF_HEAD, self._head + _END_OF_HEAD, 1)
                    message = {**message, "body": body}
                    headers["content-length"] = str(len(body))
                await send(start)
            await send(message)

        await self._app(scope, receive, send_with_head)
