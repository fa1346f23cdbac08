"""Keep what the forms hold where the page is loaded again because its server was lost (frontend/form/keeper.js)."""

from __future__ import annotations

import gradio as gr
from gradio.components import Component
from gradio.events import Dependency

from kvdemo.web.components.element import drawn
from kvdemo.web.components.fields import Controls
from kvdemo.web.components.follow import PRIVATE


def keep(arrival: Dependency, *forms: Controls) -> None:
    """Have the browser know what these forms hold, and fill them once `arrival` has written what the link says."""
    controls: list[Component] = [control for form in forms for control in form.values()]
    changes = [change for form in forms for change in form.events("change")]
    gr.on(changes, fn=None, inputs=controls, js="(...values) => { kvdemo.tell('keep', values); }", **PRIVATE)
    keeper = drawn("keeper", value="", elem_id="kv-keeper", event="fill", classes=["kv-unseen"])
    keeper.fill(
        fn=None, inputs=controls, outputs=controls, js="(...values) => kvdemo.given.kept(values)", **PRIVATE
    )  # fmt: skip
    arrival.then(fn=None, js="() => { kvdemo.tell('arrived'); }", **PRIVATE)
