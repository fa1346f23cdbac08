"""Handle the Inside tab's events in plain generators: a form goes in, what to show comes out.

The tab draws one value, the state below. What was computed goes as one JSON text: Gradio compares each part of a value
with the one before, which would take longer than computing it where a panel has thousands of numbers.

    asked        the number that the browser gave to its question; None before there is one
    text         what is being done
    fraction     how far it is; None while that is unknown
    answer       the document so far, without what is not drawn, as JSON text; None while there is nothing
    error        one sentence on what is wrong, or None
    over         nothing more comes
"""

from __future__ import annotations

import json
import logging
from collections.abc import Generator, Mapping
from contextlib import closing
from typing import Any

from kvdemo.core.errors import BadInput
from kvdemo.core.visitor import NOBODY, Visitor
from kvdemo.web.backend import Backend, Form
from kvdemo.web.guard import json_text

log = logging.getLogger(__name__)

ACCIDENT = "Something went wrong on the server, and this panel could not be computed. The form is as you left it."
#: What the tab draws of a document.
DRAWN = ("status", "model", "prompt", "settings", "panels")
#: Characters of what the panels vary: 1,024 ids of ten digits with commas, and a number for each setting.
MOST_PAGE = 20_000
#: The highest number of a question: the largest that a browser holds exactly.
MOST_ASKED = 2**53 - 1

State = dict[str, Any]


def idle(notices: tuple[str, ...] = ()) -> State:
    """Return the tab before it has asked for anything; `notices` are sentences on the link that opened the page."""
    return {
        "asked": None, "text": "", "fraction": None, "answer": None, "error": None, "over": True,
        "notices": list(notices),
    }  # fmt: skip


def asked_form(form: Form, page: object) -> tuple[dict[str, Any], int | None]:
    """Read the form from its controls and from what the panels vary, a JSON text; and the number of the question.

    What is no JSON varies nothing. A number that no page gives is None: each state repeats it to the browser. Raises
    BadInput for JSON that is too much to be read, or that no answer could hold.
    """
    try:
        varied = json_text.read(page, MOST_PAGE) if isinstance(page, str) else {}
    except json_text.NoJSON:
        varied = {}
    varied = dict(varied) if isinstance(varied, dict) else {}
    asked = varied.pop("asked", None)
    return {**form, **varied}, asked if type(asked) is int and 0 <= asked <= MOST_ASKED else None


def show(
    backend: Backend, form: Form, run_id: str, asked: int | None = None, visitor: Visitor = NOBODY
) -> Generator[State, None, None]:
    """Compute the panels that a form asks for; the last state has the final document.

    Closing this generator ends the run. Nothing is raised: what goes wrong is said in the state.
    """
    now: State = {**idle(), "asked": asked, "text": "Waiting for the server", "over": False}
    yield now
    try:
        with closing(backend.inside(form, run_id, visitor)) as states:
            for state in states:
                answer = drawn_part(state["document"]) if state["document"] else now["answer"]
                now = {**now, "text": state["text"], "fraction": state["fraction"], "answer": answer}
                yield now
    except BadInput as error:
        now = {**now, "error": str(error)}
    except Exception:
        log.exception("a panel of Inside failed")
        now = {**now, "error": ACCIDENT}
    yield {**now, "text": "", "fraction": None, "over": True}


def drawn_part(document: Mapping[str, Any]) -> str:
    """Write what the tab draws of a document: JSON text without halves of characters, which no browser can be sent."""
    text = json.dumps({key: document[key] for key in DRAWN if key in document}, ensure_ascii=False, default=str)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
