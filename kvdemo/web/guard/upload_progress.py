"""Count no upload, and tell whoever asks how far one is that it is done.

Gradio would keep each name under which it was ever sent an upload, or asked for one, and for each that asks look twenty
times a second for as long as the upload does not end. A document is there in a moment: nobody misses the bar.
"""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Scope

from kvdemo.web.guard.unreadable import UPLOAD, is_upload

_PROGRESS = f"{UPLOAD}_progress"
#: What Gradio sends last, at which its page asks no more.
DONE = 'data: {"msg": "done"}\n\n'


def forget(scope: Scope) -> None:
    """Take from an upload the name under which Gradio would count it."""
    if is_upload(scope["path"]):
        scope["query_string"] = b""


def is_asked(scope: Scope) -> bool:
    """Tell whether a request asks how far an upload is."""
    return str(scope["path"]).endswith(_PROGRESS)


def done() -> Response:
    """Say that it is done."""
    return Response(DONE, media_type="text/event-stream")
