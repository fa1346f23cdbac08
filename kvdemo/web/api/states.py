"""Turn a run's events into the states that the API streams: what has happened so far, and the document last."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Any

from kvdemo.core.events import Ended, Finished, Progress, RaceEvent, Started, TokensCommitted
from kvdemo.core.visitor import NOBODY, Visitor
from kvdemo.web.backend import Backend, Form


def race_states(
    backend: Backend, form: Form, run_id: str, visitor: Visitor = NOBODY
) -> Generator[dict[str, Any], None, None]:
    """Yield the states of one race, and the document last.

    {"state": "preparing", "text", "fraction"}, then {"state": "racing", "lanes": [{"strategy", "tokens", "seconds",
    "text", "finish_reason"}]}, then the document.
    """
    state: dict[str, Any] = {"state": "preparing", "text": "", "fraction": None}
    document: Any = None
    with closing(backend.race(form, run_id, visitor)) as batches:
        for batch in batches:
            for event in batch:
                state = state_after(state, event)
                document = event.document if isinstance(event, Finished) else document
            yield state if document is None else dict(document)


def state_after(state: dict[str, Any], event: RaceEvent) -> dict[str, Any]:
    """Return the state of a race after one more event."""
    match event:
        case Progress(text, fraction):
            return {"state": "preparing", "text": text, "fraction": fraction}
        case Started(lanes=lanes):
            fresh = {"tokens": 0, "seconds": 0.0, "text": "", "finish_reason": None}
            return {"state": "racing", "lanes": [{"strategy": lane.strategy, **fresh} for lane in lanes]}
        case TokensCommitted(lane=index, timed=timed, texts=texts):
            lane = state["lanes"][index]
            change = {
                "tokens": lane["tokens"] + len(texts),
                "seconds": lane["seconds"] + timed.seconds,
                "text": lane["text"] + "".join(texts),
            }
            return _with_lane(state, index, change)
        case Ended(lane=index, reason=reason, text=text):
            lane = state["lanes"][index]
            return _with_lane(state, index, {"finish_reason": reason, "text": lane["text"] + text})
    return state


def _with_lane(state: dict[str, Any], index: int, change: dict[str, Any]) -> dict[str, Any]:
    lanes = [{**lane, **change} if i == index else lane for i, lane in enumerate(state["lanes"])]
    return {**state, "lanes": lanes}


def measure_states(
    backend: Backend, form: Form, run_id: str, visitor: Visitor = NOBODY
) -> Generator[dict[str, Any], None, None]:
    """Yield a measurement's states: {"state": "measuring", "text", "fraction", "remaining_s"}; last, the document."""
    document: Any = None
    with closing(backend.measure(form, run_id, visitor)) as states:
        for state in states:
            document = state["document"] or document
            yield {"state": "measuring", **{key: state[key] for key in ("text", "fraction", "remaining_s")}}
    yield dict(document or {})


def inside_states(
    backend: Backend, form: Form, run_id: str, visitor: Visitor = NOBODY
) -> Generator[dict[str, Any], None, None]:
    """Yield the states of one run of Inside: {"state": "computing", "text", "fraction", "panels"}; last, the document.

    `panels` names those that are computed.
    """
    document: Any = {}
    with closing(backend.inside(form, run_id, visitor)) as states:
        for state in states:
            document = state["document"] or document
            done = {"panels": list(document.get("panels", ()))}
            yield {"state": "computing", "text": state["text"], "fraction": state["fraction"], **done}
    yield dict(document)
