"""Compute the panels that were asked for, one after the other, and build the document."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from kvdemo.core.cancellation import CancelToken
from kvdemo.core.errors import BadInput
from kvdemo.core.events import PanelsShown, Progress
from kvdemo.core.figures.units import count
from kvdemo.core.settings.declaration import recorded
from kvdemo.core.settings.inside import InsideRequest, Panel
from kvdemo.documents.common import SCHEMA
from kvdemo.engine import environment
from kvdemo.engine.start_lane import describe_failure
from kvdemo.inside.panel import CannotShow, Show, Stopped, Subject
from kvdemo.inside.panels import attention, formulas, legacy, loops, past, roles, rounding, scratch, steps
from kvdemo.models.loaded import LoadedModel

log = logging.getLogger(__name__)

Emit = Callable[[Progress | PanelsShown], None]
#: What computes each panel.
SHOW: dict[Panel, Show] = {
    "steps": steps.show,
    "attention": attention.show,
    "past": past.show,
    "roles": roles.show,
    "rounding": rounding.show,
    "scratch": scratch.show,
    "formulas": formulas.show,
    "loops": loops.show,
    "legacy": legacy.show,
}


def subject(
    request: InsideRequest, model: LoadedModel, stop: CancelToken, tell: Callable[[str], None] = lambda _: None
) -> Subject:
    """Make what the panels work with. Raises BadInput for a text that this model cannot read or hold."""
    prompt = model.prompt(request.prompt, chat=request.chat)
    ids = model.encode(prompt)
    room = model.context_length
    if room is not None and len(ids) > room:
        raise BadInput(
            f"The text has {len(ids):,} tokens, and {model.id} can hold {room:,}: shorten it by at least "
            f"{len(ids) - room:,} tokens."
        )
    if beyond := [token for token in request.continuation if token >= model.rows]:
        raise BadInput(
            f"The tokens after the text have the id {beyond[0]:,}, and {model.id} knows the ids 0 to "
            f"{model.rows - 1:,}: send those that this model wrote."
        )
    if room is not None and len(ids) + len(request.continuation) - 1 > room:
        raise BadInput(
            f"{count(len(ids), 'token')} and {len(request.continuation):,} after them exceed the {room:,} that "
            f"{model.id} can hold: send at most {room - len(ids) + 1:,}."
        )
    return Subject(model, prompt, ids, request, stop, tell)


def run(request: InsideRequest, model: LoadedModel, emit: Emit, stop: CancelToken) -> dict[str, Any]:
    """Compute the request's panels on a loaded model; emit the document as it grows, and return it.

    The caller holds the device. Raises BadInput before anything has run.
    """
    about = subject(request, model, stop, lambda text: emit(Progress(text)))
    panels: dict[str, Any] = {}
    document = {
        "schema": SCHEMA,
        "kind": "inside",
        "status": "running",
        "environment": environment.describe(model.attention, model.device, model.spread),
        "model": model.facts(),
        "prompt": {"text": request.prompt, "model_text": about.prompt.text, "tokens": about.ids},
        "settings": recorded(request) | {"chat": about.prompt.templated},
        "panels": panels,
    }

    def show_part(name: Panel, panel: Mapping[str, Any]) -> None:
        panels[name] = panel
        emit(PanelsShown({**document, "panels": dict(panels)}))

    for name in request.panels:
        try:
            about.check()
            panels[name] = _computed(SHOW[name], replace(about, partly=partial(show_part, name)))
        except Stopped:
            document["status"] = "stopped"
            break
        emit(PanelsShown({**document, "panels": dict(panels)}))
    else:
        document["status"] = "done"
    emit(PanelsShown(document))
    return document


def _computed(show: Show, about: Subject) -> Mapping[str, Any]:
    try:
        return show(about)
    except CannotShow as error:
        return {"cannot": str(error)}
    except BadInput as error:
        return {"cannot": str(error)}
    except OSError as error:
        return {"cannot": f"This panel needs a file, and none can be written here: {error.strerror or error}."}
    except (RuntimeError, TypeError, ValueError, NotImplementedError, LookupError, AttributeError) as error:
        # A model's own code may raise these for what it does not support; the other panels can still be shown.
        log.debug("%s cannot be shown", show.__module__, exc_info=True)
        return {"cannot": f"{about.model.id} cannot be run in the way that this panel needs: {describe_failure(error)}"}
