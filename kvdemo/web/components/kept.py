"""Keep what the forms hold where the page is loaded again because its server was lost (frontend/form/kept.js)."""

from __future__ import annotations

from gradio.components import Component
from gradio.events import Dependency

from kvdemo.web.components.element import drawn
from kvdemo.web.components.fields import Controls
from kvdemo.web.components.follow import PRIVATE


def keep(arrival: Dependency, *forms: Controls) -> None:
    """Have the browser know what these forms hold, and fill them once `arrival` has written what the link says."""
    controls: list[Component] = [control for form in forms for control in form.values()]
    # The browser asks for the values when a visitor has done something. A listener on each control would run dozens of
    # times while a link fills the forms, before the page can be used.
    holder = drawn("holder", value="", elem_id="kv-holder", event="hold", classes=["kv-unseen"])
    holder.hold(fn=None, inputs=controls, js="(...values) => { kvdemo.tell('keep', values); }", **PRIVATE)
    filler = drawn("filler", value="", elem_id="kv-filler", event="fill", classes=["kv-unseen"])
    filler.fill(
        fn=None, inputs=controls, outputs=controls, js="(...values) => kvdemo.given.kept(values)", **PRIVATE
    )  # fmt: skip
    arrival.then(fn=None, js="() => { kvdemo.tell('arrived'); }", **PRIVATE)
