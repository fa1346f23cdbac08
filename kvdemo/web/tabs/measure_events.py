"""Handle the Measure tab's events in plain generators: a form or a run's id goes in, what to show comes out.

The tab draws one value, the state below. Gradio sends the browser what changed in it since the last one, so the
document may grow in it; what the tab does not draw is left out. The measurement stands still while it is drawn, so
it is reported every few seconds, and the browser counts down in between.

    run          the measurement's id; None before there is one
    phase        "idle", "running", "over" (its own document says how it ended), "kept" (found under its id),
                 or "refused"
    text         what is being done
    fraction, remaining_s    how far it is, and how long it will take; None while that is unknown
    document     the measurement so far, without what is not drawn; None while there is nothing
    error        one sentence on what is wrong, or None
    notices      sentences on the link that opened the page
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from kvdemo.core.errors import BadInput, NotNow
from kvdemo.core.settings.measure import RUN_ID
from kvdemo.core.visitor import NOBODY, Visitor
from kvdemo.web.backend import Backend, Form

log = logging.getLogger(__name__)

ACCIDENT = "Something went wrong on the server, and this measurement broke off. What was measured stays: try again."
FORGOTTEN = (
    "There is no measurement under this link: it was started on another server, or is too old and no longer kept. "
    "Start a new one."
)
UNKNOWN_EFFORT = "How long it will take is known once the model is loaded."

State = dict[str, Any]


@dataclass(frozen=True)
class Reading:
    """What to draw, and the whole document once there is one."""

    state: State
    document: Mapping[str, Any] | None = None


def idle(notices: tuple[str, ...] = ()) -> State:
    """Return the tab before a measurement."""
    return {
        "run": None, "phase": "idle", "text": "", "fraction": None, "remaining_s": None, "document": None,
        "error": None, "notices": list(notices),
    }  # fmt: skip


def track(backend: Backend, form: Form, run_id: str, visitor: Visitor = NOBODY) -> Generator[Reading, None, None]:
    """Run one measurement, and tell of all that the engine tells; the last reading has the final document.

    Closing this generator ends the run; what was done is kept under its id. Nothing is raised: what goes wrong is
    said in the state.
    """
    now: State = {**idle(), "run": run_id, "phase": "running", "text": "Waiting for the server"}
    yield Reading(now)
    document: Mapping[str, Any] | None = None
    try:
        with closing(backend.measure(form, run_id, visitor)) as states:
            for state in states:
                document = state["document"] or document
                now = {**now, **_progress(state), "document": drawn_part(document)}
                yield Reading(now, document)
        yield Reading(over(now, document), document)
    except BadInput as error:
        yield Reading({**now, "phase": "refused", "error": str(error)}, document)
    except Exception:
        log.exception("a measurement failed")
        yield Reading({**now, "phase": "refused", "error": ACCIDENT}, document)


def _progress(state: Mapping[str, Any]) -> State:
    return {key: state.get(key) for key in ("text", "fraction", "remaining_s")}


def over(state: State, document: Mapping[str, Any] | None) -> State:
    """Return a state with nothing more to come."""
    error = (document or {}).get("error")
    return {**state, "phase": "over", "text": "", "fraction": None, "remaining_s": None, "error": error}


def drawn_part(document: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the document without token ids and texts, its latencies to the tenth of a microsecond."""
    if document is None:
        return None
    lanes = [
        {key: value for key, value in lane.items() if key not in {"tokens", "text", "runs"}}
        | {
            "runs": [run["e2e_s"] for run in lane["runs"]],
            "latency": [[context, round(seconds, 7)] for context, seconds in lane["latency"]],
        }
        for lane in document["lanes"]
    ]
    prompt = {"text": document["prompt"]["text"], "tokens": len(document["prompt"]["tokens"])}
    return {**document, "prompt": prompt, "lanes": lanes}


def reopen(backend: Backend, run_id: object) -> Generator[Reading | None, None, None]:
    """Show a measurement that was started before; one that still runs is shown again as it grows, until it is over.

    None says to wait before the next look. `run_id` is whatever a browser sent, which goes back to it if it can be one.
    """
    if not isinstance(run_id, str) or not RUN_ID.fullmatch(run_id):
        yield Reading({**idle(), "phase": "refused", "error": FORGOTTEN})
        return
    shown = None
    while True:
        document = _kept(backend, run_id)
        if document is None:
            yield Reading({**idle(), "run": run_id, "phase": "refused", "error": FORGOTTEN})
            return
        state = {**idle(), "run": run_id}
        if document["status"] != "running":
            yield Reading({**over(state, document), "phase": "kept", "document": drawn_part(document)}, document)
            return
        if document != shown:
            shown = document
            state |= {"phase": "running", "text": "This measurement is under way", "document": drawn_part(document)}
            yield Reading(state, document)
        yield None


def _kept(backend: Backend, run_id: str) -> dict[str, Any] | None:
    try:
        return backend.measured(run_id)
    except BadInput:
        return None
    except Exception:
        log.exception("a measurement could not be found")
        return None


def estimate(backend: Backend, form: Form, visitor: Visitor = NOBODY) -> tuple[str, bool]:
    """Say what a measurement takes, or what is wrong with the form, in one sentence; and whether to ask again soon."""
    try:
        return backend.estimate(form, visitor), False
    except NotNow as error:
        return str(error), True
    except BadInput as error:
        return str(error), False
    except Exception:
        log.exception("a measurement could not be estimated")
        return UNKNOWN_EFFORT, False
