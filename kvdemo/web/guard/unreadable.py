"""Say in one sentence why a request cannot be read: Gradio and FastAPI would answer with an internal error or a list.

Only the address of a request is logged, without a traceback: invalid requests do not fill the disk.
"""

from __future__ import annotations

import errno
import logging
from pathlib import Path

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from gradio.route_utils import FnIndexInferError
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Scope

from kvdemo.core.settings.validation import show

log = logging.getLogger(__name__)

UNREADABLE = "The request cannot be read: check its address, its headers and what it sends."
UNREADABLE_UPLOAD = "The upload cannot be read: send a form with files that have names."
NO_ROOM = "The server's disk takes no files now: try again later."
NO_ENDPOINT = "There is no such endpoint: /gradio_api/info lists those that there are."
WRONG_PARAMETERS = (
    "The request names a parameter that this endpoint does not have, or leaves one out: /gradio_api/info lists them."
)
#: What the system refuses in the name of a file. Anything else it refuses of its own accord.
_OF_NAMES = (errno.ENAMETOOLONG, errno.EINVAL, errno.EISDIR)
UPLOAD = "/gradio_api/upload"
#: Where events of Gradio are asked for, by name or by number.
_EVENTS = ("/gradio_api/call/", "/gradio_api/run/", "/gradio_api/api/", "/gradio_api/queue/join")


def is_upload(path: str) -> bool:
    """Tell whether files are sent to a path. Below that of the tools anything may follow, and leads to them."""
    return path.endswith(UPLOAD) and path.count("/gradio_api/") == 1


def is_of_gradio(scope: Scope) -> bool:
    """Tell whether a request was given to a function of Gradio, which fails at much that it is sent."""
    return str(getattr(scope.get("endpoint"), "__module__", "")).startswith("gradio.")


def answer(scope: Scope, error: Exception) -> Response:
    """Answer a request at which Gradio failed."""
    code, sentence = _fault(scope["path"], error)
    if is_upload(scope["path"]):
        return PlainTextResponse(sentence, code)  # as Gradio refuses one
    return JSONResponse({"detail": sentence}, code)


def _fault(path: str, error: Exception) -> tuple[int, str]:
    if is_upload(path):
        if isinstance(error, OSError) and error.errno not in _OF_NAMES:
            return 507, NO_ROOM
        return 400, UNREADABLE_UPLOAD
    if any(part in path for part in _EVENTS) and isinstance(error, KeyError | FnIndexInferError):
        return 404, NO_ENDPOINT
    if "/gradio_api/call/v2/" in path and isinstance(error, TypeError):
        return 400, WRONG_PARAMETERS
    return 400, UNREADABLE


def note(what: str, error: BaseException) -> None:
    """Log in one line what failed, and where."""
    place = error.__traceback__
    while place and place.tb_next:
        place = place.tb_next
    where = f"{Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place else "no frame"
    log.warning("%s could not be read: %s at %s", what, type(error).__name__, where)


def note_request(scope: Scope, error: BaseException) -> None:
    """Log in one line that a request failed, and where."""
    note(f"{scope['method']} {show(scope['path'])}", error)


def explain_fault(_: Request, error: RequestValidationError) -> Response:
    """Answer what does not have the form that an address wants, by its first fault."""
    fault = error.errors()[0]
    place = show(".".join(map(str, fault["loc"])))
    said = fault["msg"][:1].lower() + fault["msg"][1:]
    return JSONResponse({"detail": f"The request cannot be read: {said} ({place})."}, 422)
