"""Update lines and drawings that depend on a form, once it has changed and no more input comes.

The wait is the browser's (frontend/form/follow.js), and so is the order: it asks through an element of its own, one
question at a time, and if the form changed during it, it asks once more with the new form. Delaying the listener
of the form's own events instead would let an older answer arrive after a newer one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.components import Component

from kvdemo.web.components.element import drawn
from kvdemo.web.components.fields import Controls

#: Questions of a kind that are answered at a time. Of those that take turns at one process more are let in, one of each
#: address: it chooses among them (`kvdemo.server.questions.least_used`).
AT_ONCE, IN_LINE = 4, 16
#: An event of the page itself. `show_progress_on`: by default the browser hands every message of any event to each
#: component that any event before it may have changed, with a copy of all that the component holds. It still does so to
#: the inputs of events.
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "show_progress_on": ()}


def follow(
    controls: Controls,
    answer: Callable[[dict[str, Any]], Any],
    *shown: Component,
    tab: str,
    watched: list[str] | None = None,
    on_model: bool = True,
    on_end: bool = False,
    line: str | None = None,
) -> None:
    """Let `shown` hold the answer to the form, for as long as `tab` is open: one value, or what each of them holds.

    watched   the form keys whose change matters; all of them by default
    on_model  ask again when a model has arrived, since the answer depends on the one that is loaded
    on_end    ask again when a run of the tab has ended, since the answer depends on what runs have shown
    line      the name of the line in which questions wait, for others that are of the same kind; by default its own
    """

    def on_ask(values: dict[Component, Any]) -> Any:
        return answer(controls.form(values))

    asker = drawn(
        "asker", value="", elem_id=f"kv-ask-{tab}", event="ask",
        facts={"tab": tab, "onModel": on_model, "onEnd": on_end}, classes=["kv-unseen"],
    )  # fmt: skip
    changes: list[Any] = [controls[key].change for key in watched or controls]
    gr.on(changes, fn=None, js=f"() => {{ kvdemo.tell('ask', '{tab}'); }}", **PRIVATE)
    # "always_last": a question that comes while the server is at one is put when that is answered.
    asked = asker.ask(
        on_ask, inputs=set(controls.values()), outputs=list(shown), trigger_mode="always_last", preprocess=False,
        concurrency_limit=IN_LINE if line else AT_ONCE, concurrency_id=line, **PRIVATE,
    )  # fmt: skip
    when_over(asked, f"() => {{ kvdemo.tell('answered', '{tab}'); }}")


def when_over(event: Any, js: str) -> None:
    """Run a script of the page when an event is over, also one that failed: Gradio's `then` follows no such."""
    event.then(fn=None, js=js, **PRIVATE)
    event.failure(fn=None, js=js, **PRIVATE)
