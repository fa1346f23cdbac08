"""Guard the web server: headers for browsers, the size of what is sent, uploads, and who is a visitor from elsewhere.

Headers that are slow to read (`headers`) and bodies of too many values (`parts`) are refused before anything reads
them. A request at which Gradio fails is answered in a sentence (`unreadable`). What the page does not need is closed
(`closed`), and other websites' pages may change nothing (`other_sites`).

It stands around everything that Gradio answers (`launch(app_kwargs={"middleware": ...})`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kvdemo.core.visitor import one_visitors
from kvdemo.web.gradio_patches.guarded_blocks import REFUSED
from kvdemo.web.guard import closed, headers, other_sites, unreadable, upload_progress
from kvdemo.web.guard.body import BODY_BYTES, TOO_LARGE, UPLOAD_SECONDS, Body
from kvdemo.web.guard.open_requests import CROWDED, OpenRequests
from kvdemo.web.guard.uploads import FULL, Uploads
from kvdemo.web.links import TOO_LONG

#: What the page needs and nothing else. Gradio's page has its configuration and its styles as text, and makes functions
#: of the `js` of events; its icons are data. Spaces show the page in a frame.
CONTENT_SECURITY_POLICY = "; ".join([
    "default-src 'none'",
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "manifest-src 'self'",
    "base-uri 'self'",
    "form-action 'none'",
    "frame-ancestors 'self' https://huggingface.co https://*.hf.space",
])  # fmt: skip
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}
#: What a refusal says that has no words of its own.
SILENT = b"There is nothing here."
#: What a form takes beside the files in it, and the largest request without one: a prompt in escaped characters.
BESIDE_FILES, MOST_REQUEST = 100_000, 4_000_000
#: The largest request outside the queue, of which the page has two with next to nothing in them.
DIRECT, MOST_DIRECT = ("/gradio_api/run/", "/gradio_api/api/"), 10_000
#: Bytes of what a link holds, which the page sends along with every event; web servers take some 60,000 of them.
MOST_LINK = 30_000
#: A proxy says for whom it asks.
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
LOCAL_NAMES = ("localhost", "")
RETRY_LATER = {"Retry-After": "3600"}


class Protection:
    """Answers with headers, refuses what is too large, and reports a visitor who is not on this machine.

    file_bytes     the largest file of an upload
    hourly_bytes   what all visitors together may upload in an hour
    on_stranger    called before a request of a visitor from elsewhere is answered, for the first one
    """

    def __init__(
        self, app: ASGIApp, *, file_bytes: int, hourly_bytes: int, on_stranger: Callable[[], None] = lambda: None
    ) -> None:
        self._app, self._file_bytes = app, file_bytes
        self._on_stranger, self._alone = on_stranger, True
        self._uploads, self._open = Uploads(hourly_bytes), OpenRequests()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers.leave_out_unread(scope)
        if headers.are_too_large(scope):
            await PlainTextResponse(headers.TOO_LARGE, 431)(scope, receive, _Answer(scope, send))
            return
        if scope["path"] == "/" and len(scope["query_string"]) > MOST_LINK:
            await RedirectResponse(f"./?{TOO_LONG}=1")(scope, receive, _Answer(scope, send))
            return
        if len(scope["query_string"]) > MOST_LINK:
            scope["query_string"] = b""
        if self._alone and is_stranger(scope):
            self._alone = False
            self._on_stranger()
        upload_progress.forget(scope)
        with self._open.one(_address(scope)) as on_bytes:
            await self._answer_one(scope, receive, _Answer(scope, send), on_bytes)

    async def _answer_one(
        self, scope: Scope, receive: Receive, answer: _Answer, on_bytes: Callable[[int], None]
    ) -> None:
        upload = unreadable.is_upload(scope["path"])
        if upload:
            full = partial(self._refuse_if_full, scope)
            body = Body(scope, receive, self._file_bytes + BESIDE_FILES, seconds=UPLOAD_SECONDS, on_more=full)
        else:
            most = MOST_DIRECT if any(part in scope["path"] for part in DIRECT) else MOST_REQUEST
            body = Body(scope, receive, most, on_bytes=on_bytes)
        if ready := self._answer_for(scope, body, upload):
            await ready(scope, receive, answer)
            return
        try:
            if upload:
                self._uploads.add(_address(scope), body)
            elif refused := await self._refusal(body):
                await refused(scope, receive, answer)
                return
            else:
                scope[BODY_BYTES] = body.bytes
            await self._answer(scope, body, answer)
        finally:
            body.end()

    def _answer_for(self, scope: Scope, body: Body, upload: bool) -> Response | None:
        """Return what a request is answered that goes no further, a refusal mostly."""
        address = _address(scope)
        refusals = (
            (self._open.is_full(address, shared=_is_loopback(address)), CROWDED, 429),
            (body.too_large, TOO_LARGE, 413),
            (not headers.name_a_server(scope), headers.NO_HOST, 400),
            (closed.is_closed(scope["path"]), closed.SENTENCE, 404),
            (other_sites.is_of_another_site(scope), other_sites.SENTENCE, 403),
            (upload and self._is_full(scope), FULL, 429),
        )
        for refused, sentence, code in refusals:
            if refused and code in (413, 429) and not upload:
                return _refused(code, sentence)
            if refused:
                return PlainTextResponse(sentence, code, RETRY_LATER if sentence is FULL else None)
        return upload_progress.done() if upload_progress.is_asked(scope) else None

    async def _refusal(self, body: Body) -> Response | None:
        """Take in a body. Returns what is answered where nothing is to read it."""
        try:
            await body.take()
        except HTTPException as error:
            return _refused(error.status_code, error.detail)
        return None

    async def _answer(self, scope: Scope, body: Body, answer: _Answer) -> None:
        try:
            await self._app(scope, body, answer)
        except Exception as error:
            if not unreadable.is_of_gradio(scope) or not answer.may_end:
                raise
            unreadable.note_request(scope, error)
            if answer.begun:
                await answer.end()
            else:
                await unreadable.answer(scope, error)(scope, body, answer)

    def _is_full(self, scope: Scope) -> bool:
        """Tell whether a visitor may upload no more now. By an address of this machine a proxy may bring everybody."""
        address = _address(scope)
        return self._uploads.is_full(address, shared=_is_loopback(address))

    def _refuse_if_full(self, scope: Scope) -> None:
        """Raise HTTPException in the middle of an upload that did not announce its length, and would go on."""
        if self._is_full(scope):
            raise HTTPException(429, FULL, RETRY_LATER)


class _Answer:
    """Sends an answer with the headers for browsers. `may_end`: it can be ended where it is, as a stream can."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send = scope, send
        self.begun, self.may_end, self._over, self._silent = False, True, False, False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            self._begin(message)
        elif message["type"] == "http.response.body":
            self._over = not message.get("more_body", False)
            if self._silent:
                message["body"] = SILENT
        await self._send(message)

    def _begin(self, message: Message) -> None:
        sent = MutableHeaders(scope=message)
        sent.update(HEADERS)
        self.may_end = "content-length" not in sent
        if message["status"] == 500 and REFUSED in self._scope:
            message["status"] = 400  # Gradio answers a refusal with the status of an internal error
        self._silent = message["status"] >= 400 and sent.get("content-length") == "0"
        if self._silent:
            sent.update({"content-length": str(len(SILENT)), "content-type": "text/plain; charset=utf-8"})

    async def end(self) -> None:
        """End a stream."""
        if not self._over:
            await self({"type": "http.response.body", "body": b"", "more_body": False})


def _refused(code: int, sentence: str) -> Response:
    """Refuse an event. A page shows why where that is in JSON."""
    return JSONResponse({"detail": sentence}, code)


def _address(scope: Scope) -> str:
    return one_visitors(str(scope["client"][0])) if scope.get("client") else ""


def is_stranger(scope: Scope) -> bool:
    """Tell whether a request comes from another machine, or may: through a proxy, a tunnel, or under another name."""
    sent = Headers(scope=scope)
    client = scope.get("client")
    named = _hostname(sent.get("host", ""))
    return (
        any(name in sent for name in FORWARDED)
        or (client is not None and not _is_loopback(client[0]))
        or not (named in LOCAL_NAMES or _is_loopback(named))
    )


def _hostname(host: str) -> str:
    """Return the name in a Host header; itself where it is none, which is no local name."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return host


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
