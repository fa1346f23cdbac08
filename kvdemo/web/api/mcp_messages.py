"""Answer what is no message for a server of the Model Context Protocol (MCP) in one sentence.

The package's own server would log it at length: with a traceback, each way in which it is wrong, or all that was sent.
"""

from __future__ import annotations

import json
from functools import wraps
from typing import Any

from mcp.types import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    ClientNotification,
    ClientRequest,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
)
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NO_MESSAGE = "The request cannot be read: send one message of JSON-RPC 2.0, a request or a notification."
NO_METHOD = "The message cannot be read: it names no method of MCP, or parameters that the method does not have."
#: The id of an answer to what has none, as in the package's own.
NO_ID = "server-error"
#: Characters of an id, and of the name that words on progress are sent under: both go back to whoever sent them.
MOST_ID = 200


def messages_alone(answer: ASGIApp) -> ASGIApp:
    """Return what hands messages on to `answer`, and refuses all else that is sent."""

    @wraps(answer)  # which tells the guard that it is Gradio's
    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await answer(scope, receive, send)
            return
        held = [await receive()]  # the guard hands a body on as one

        async def again() -> Message:
            return held.pop() if held else await receive()

        if refused := refusal(held[0].get("body", b"")):
            await refused(scope, receive, send)
        else:
            await answer(scope, again, send)

    return checked


def refusal(body: bytes) -> Response | None:
    """Return what is answered to a body that is no message; None for one that is."""
    try:
        said = json.loads(body)
        json.dumps(said, ensure_ascii=False).encode()  # fails at half a character, which no answer could repeat
        message = JSONRPCMessage.model_validate(said).root
    except (ValueError, RecursionError):
        return _error(400, NO_ID, INVALID_REQUEST, NO_MESSAGE)
    if not isinstance(message, JSONRPCRequest | JSONRPCNotification):
        return _error(400, NO_ID, INVALID_REQUEST, NO_MESSAGE)  # an answer, and nothing was asked
    if any(isinstance(name, str) and len(name) > MOST_ID for name in _repeated(message)):
        return _error(400, NO_ID, INVALID_REQUEST, NO_MESSAGE)
    kind = ClientRequest if isinstance(message, JSONRPCRequest) else ClientNotification
    try:
        kind.model_validate(message.model_dump(by_alias=True, mode="json", exclude_none=True))
    except ValueError:
        if isinstance(message, JSONRPCNotification):
            return Response(status_code=202)  # which JSON-RPC has nobody answer
        return _error(200, message.id, INVALID_PARAMS, NO_METHOD)
    return None


def _repeated(message: JSONRPCRequest | JSONRPCNotification) -> tuple[Any, Any]:
    """Return what of a message an answer to it repeats."""
    meta = (message.params or {}).get("_meta")
    return getattr(message, "id", None), meta.get("progressToken") if isinstance(meta, dict) else None


def _error(status: int, id_: str | int, code: int, sentence: str) -> Response:
    error = JSONRPCError(jsonrpc="2.0", id=id_, error=ErrorData(code=code, message=sentence))
    return JSONResponse(error.model_dump(exclude_none=True), status)
