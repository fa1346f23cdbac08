"""Lay out and wire the Inside tab. inside_events.py decides what is said, frontend/inside/ what is drawn.

The form says which text is read by which model. What a panel varies by itself (a layer, a batch) has no control here:
frontend/inside/ has it, asks with it, and puts it into the page's address.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.declaration import offered
from kvdemo.core.settings.inside import DEFAULT_PROMPT, PANELS, InsideRequest
from kvdemo.web import links
from kvdemo.web.backend import Backend
from kvdemo.web.components import fields
from kvdemo.web.components.element import drawn
from kvdemo.web.components.fields import Controls
from kvdemo.web.components.follow import PRIVATE, follow, when_over
from kvdemo.web.run_streams import RUN, Runs, visitor_of
from kvdemo.web.tabs.inside_events import asked_form, idle, show

PREFIX = "kv-i-"
SETTINGS = offered(InsideRequest, "form")
#: What has a control; the panels vary the others.
FORM = tuple(key for key in ("prompt", "model", "max_new_tokens", "append", "chat") if key in SETTINGS)
VARIED = tuple(key for key in SETTINGS if key not in FORM)


@dataclass(frozen=True)
class InsideTab:
    """The components that events write to.

    `gpu_cost` is the line on what a panel costs, where a GPU is lent by the second.
    """

    controls: Controls
    start: gr.Button
    stop: gr.Button
    drawing: gr.HTML
    link: gr.Button
    gpu_cost: gr.HTML | None

    @property
    def arrival_outputs(self) -> list[Component]:
        """What a link may write to."""
        return [*self.controls.values(), self.drawing, self.start]

    def arrive(self, query: Mapping[str, str]) -> dict[Component, Any]:
        """Fill the form from a link, and let it be started."""
        link = links.read(query, {}, {name: one for name, one in links.INSIDE.items() if one[0] in FORM})
        filled: dict[Component, Any] = {self.controls[key]: value for key, value in link.form.items()}
        if link.notices:
            filled[self.drawing] = idle(link.notices)
        return {**filled, self.start: gr.Button(interactive=True)}


def default_form(backend: Backend) -> dict[str, Any]:
    """Return the form as it stands before anybody touches it."""
    form = {"prompt": DEFAULT_PROMPT, "model": backend.default_form()["model"]}
    return {key: fields.spelled(SETTINGS[key], form.get(key, SETTINGS[key].default)) for key in FORM}


def add_inside_tab(backend: Backend) -> InsideTab:
    """Add the tab's content, with its events, to the Blocks that is being built."""
    with gr.Row(equal_height=False, elem_classes="kv-split"):
        with gr.Column(min_width=300, elem_classes=["kv-form", "kv-sticky"]):
            controls, start, stop, gpu_cost = _form(backend)
            page = gr.Textbox("", visible="hidden", elem_id=f"{PREFIX}page", label="What the panels vary")
        with gr.Column(min_width=300, elem_classes="kv-main"):
            with gr.Row(elem_classes="kv-exports"):
                link = gr.Button("Link", size="sm", min_width=60, elem_id=f"{PREFIX}link")
            drawing = drawn("inside", value=idle(), elem_id="kv-inside", event="ask", facts=_facts(backend))
            handed = drawn("handedOver", value="", elem_id=f"{PREFIX}handed", event="fill", classes=["kv-unseen"])
    tab = InsideTab(controls, start, stop, drawing, link, gpu_cost)
    _wire_runs(tab, page, backend)
    _wire_form(tab, handed, backend)
    return tab


def _facts(backend: Backend) -> dict[str, Any]:
    """List what the browser needs to ask: the panels, the form's keys, what a panel varies, and models' short names."""
    varied = {
        key: {"link": setting.link or key, "default": setting.default, "low": setting.low, "high": setting.high,
              "label": setting.label, "about": setting.about}
        for key, setting in ((key, SETTINGS[key]) for key in VARIED)
        if setting.kind == "whole"
    }  # fmt: skip
    short = {model["hub_id"]: model["id"] for model in backend.models() if "hub_id" in model}
    return {"panels": PANELS, "form": FORM, "names": links.names(links.INSIDE), "varied": varied, "models": short}


def _form(backend: Backend) -> tuple[Controls, gr.Button, gr.Button, gr.HTML | None]:
    default = default_form(backend)
    made: dict[str, Component] = {"prompt": fields.prompt_box(default["prompt"], PREFIX)}
    start, stop = fields.buttons("Show", PREFIX, name="start")
    lent = backend.panel_gpu_cost(default)
    gpu_cost = None if lent is None else drawn("line", value=lent, elem_id=f"{PREFIX}gpu-cost")
    made["model"] = fields.model_picker(backend, default["model"], PREFIX)
    with gr.Row(elem_classes="kv-row"):
        for key in ("max_new_tokens", "append"):
            made[key] = fields.control(key, SETTINGS[key], default[key], PREFIX)
    made["chat"] = fields.control("chat", SETTINGS["chat"], default["chat"], PREFIX)
    return Controls({key: made[key] for key in FORM}), start, stop, gpu_cost


def _wire_runs(tab: InsideTab, page: gr.Textbox, backend: Backend) -> None:
    runs = Runs(backend.stop)
    controls = tab.controls

    async def on_ask(request: gr.Request, *values: Any) -> AsyncIterator[Any]:
        try:
            form, asked = asked_form(dict(zip(controls, values[:-1], strict=True)), values[-1])
        except BadInput as error:
            yield {**idle(), "error": str(error)}
            return
        visitor = visitor_of(request)
        with runs.running(visitor.session) as run_id:
            shown = show(backend, form, run_id, asked, visitor)
            async with aclosing(runs.stream(shown, run_id, request)) as states:
                async for state in states:
                    yield state

    def on_stop(request: gr.Request) -> None:
        runs.stop(visitor_of(request).session)

    # The browser asks again when this has ended, so nothing is asked twice at a time.
    asked = tab.drawing.ask(
        on_ask, inputs=[*controls.values(), page], outputs=tab.drawing, preprocess=False, trigger_mode="multiple",
        js="(...values) => kvdemo.given.question(values)", **RUN, **PRIVATE,
    )  # fmt: skip
    when_over(asked, "() => { kvdemo.tell('answeredInside'); }")
    tab.start.click(fn=None, js="() => { kvdemo.tell('showInside'); }", **PRIVATE)
    tab.stop.click(
        on_stop, js="() => { kvdemo.tell('stopping', 'inside'); kvdemo.tell('stopInside'); }", concurrency_limit=None,
        **PRIVATE,
    )  # fmt: skip


def _wire_form(tab: InsideTab, handed: gr.HTML, backend: Backend) -> None:
    controls = tab.controls
    names = {key: name for key, name in links.names(links.INSIDE).items() if key in FORM}
    share = json.dumps(
        {"title": "Link to this", "names": names, "keys": list(controls), "always": links.always(links.INSIDE),
         "defaults": default_form(backend), "tab": "inside", "button": f"{PREFIX}link"}
    )  # fmt: skip
    inputs = list(controls.values())
    gr.on(
        controls.events("change"), fn=None, inputs=inputs,
        js="(...values) => { kvdemo.tell('changeInside', values); }", **PRIVATE,
    )  # fmt: skip
    tab.link.click(
        fn=None, inputs=inputs, js=f"(...values) => {{ kvdemo.tell('shareInside', {share}, values); }}", **PRIVATE
    )
    handed.fill(fn=None, js="(...form) => kvdemo.given.handed(form)", inputs=inputs, outputs=inputs, **PRIVATE)
    if tab.gpu_cost:
        follow(controls, lambda form: backend.panel_gpu_cost(form) or "", tab.gpu_cost, tab="inside")
