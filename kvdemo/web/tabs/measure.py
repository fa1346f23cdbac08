"""Lay out and wire the Measure tab. measure_events.py decides what is said, frontend/measure/ what is drawn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import gradio as gr
from anyio import CapacityLimiter, to_thread
from gradio.components import Component

from kvdemo.core.visitor import Visitor, one_visitors
from kvdemo.measure.store import LONGEST_RUN_ID
from kvdemo.web import links
from kvdemo.web.backend import Backend, Form
from kvdemo.web.components import downloads
from kvdemo.web.components.again import add_again, ask_again
from kvdemo.web.components.element import drawn
from kvdemo.web.components.fields import Controls
from kvdemo.web.components.follow import PRIVATE, follow, when_over
from kvdemo.web.run_streams import RUN, Runs, asking, visitor_of
from kvdemo.web.tabs.measure_events import Reading, estimate, idle, reopen, track
from kvdemo.web.tabs.measure_form import MeasurePanel, add_measure_panel, default_form

#: Between two looks for what another page's measurement has done: each takes a moment from the one that runs.
POLL_SECONDS = 5.0


@dataclass(frozen=True)
class MeasureTab:
    """The components that events write to."""

    panel: MeasurePanel
    drawing: gr.HTML
    json_file: gr.DownloadButton
    csv_file: gr.DownloadButton
    markdown_file: gr.DownloadButton
    link: gr.Button

    @property
    def controls(self) -> Controls:
        return self.panel.controls

    @property
    def arrival_outputs(self) -> list[Component]:
        """What a link may write to."""
        return [*self.controls.values(), self.drawing, self.panel.start]

    def arrive(self, query: Mapping[str, str], strategies: links.Strategies) -> dict[Component, Any]:
        """Fill the form from a link, and let it be started."""
        link = links.read(query, strategies, links.MEASURE)
        filled: dict[Component, Any] = {self.controls[key]: value for key, value in link.form.items()}
        if link.form:
            filled[self.controls["preset"]] = ""  # the values of a link are no preset
        if link.notices:
            filled[self.drawing] = idle(link.notices)
        return {**filled, self.panel.start: gr.Button(interactive=True)}

    @property
    def files(self) -> dict[str, gr.DownloadButton]:
        """The download buttons by the suffix of their file."""
        return {"json": self.json_file, "csv": self.csv_file, "md": self.markdown_file}


def add_measure_tab(backend: Backend) -> MeasureTab:
    """Add the tab's content, with its events, to the Blocks that is being built."""
    with gr.Row(equal_height=False, elem_classes="kv-split"):
        with gr.Column(min_width=300, elem_classes=["kv-form", "kv-sticky"]):
            panel = add_measure_panel(backend)
        with gr.Column(min_width=300, elem_classes="kv-main"):
            with gr.Row(elem_classes="kv-exports"):
                link = gr.Button("Link", size="sm", min_width=60, elem_id="kv-m-link")
                json_file, csv_file, markdown_file = (
                    gr.DownloadButton(label, size="sm", min_width=60, visible=False, elem_id=f"kv-m-{suffix}")
                    for label, suffix in (("JSON", "json"), ("CSV", "csv"), ("Markdown", "md"))
                )
            drawing = drawn("measure", value=idle(), elem_id="kv-measure", event="reopen")
    tab = MeasureTab(panel, drawing, json_file, csv_file, markdown_file, link)
    _wire_runs(tab, backend)
    _wire_form(tab, backend)
    return tab


def _wire_runs(tab: MeasureTab, backend: Backend) -> None:
    runs = Runs(backend.stop)
    controls, panel = tab.controls, tab.panel
    outputs = [tab.drawing, *tab.files.values()]

    async def on_start(values: dict[Component, Any], request: gr.Request) -> AsyncIterator[dict[Component, Any]]:
        visitor = visitor_of(request)
        with runs.running(visitor.session) as run_id:
            yield {button: gr.DownloadButton(visible=False) for button in tab.files.values()}
            last: Reading | None = None
            tracked = track(backend, controls.form(values), run_id, visitor)
            async with aclosing(runs.stream(tracked, run_id, request)) as readings:
                async for last in readings:
                    yield {tab.drawing: last.state}
            yield await to_thread.run_sync(_last, tab, backend, last)

    def on_stop(request: gr.Request) -> None:
        runs.stop(visitor_of(request).session)

    reopening: WeakValueDictionary[str, CapacityLimiter] = WeakValueDictionary()  # by address, one at a time

    async def on_reopen(run_id: Any, request: gr.Request) -> AsyncIterator[dict[Component, Any]]:
        visitor = visitor_of(request)
        own = reopening.setdefault(one_visitors(visitor.address), CapacityLimiter(1))
        nobodys = Runs(lambda _: None)  # the measurement goes on without this page
        named = run_id if isinstance(run_id, str) and len(run_id) <= LONGEST_RUN_ID else ""  # a name that there is not
        reopened = _reopened(tab, backend, named, visitor)
        async with aclosing(nobodys.stream(reopened, "", request, own)) as all_shown:
            async for shown in all_shown:
                if shown is None:
                    await asyncio.sleep(POLL_SECONDS)
                else:
                    yield shown

    started = panel.start.click(
        on_start, inputs=set(controls.values()), outputs=outputs, preprocess=False,
        js="(...form) => { kvdemo.tell('busy', 'measure', true); return form; }", **RUN, **PRIVATE,
    )  # fmt: skip
    when_over(started, "() => { kvdemo.tell('busy', 'measure', false); }")
    panel.stop.click(on_stop, js="() => { kvdemo.tell('stopping', 'measure'); }", concurrency_limit=None, **PRIVATE)
    # Which measurement to show is for the browser to say: it is in the address, or remembered there.
    tab.drawing.reopen(
        on_reopen, inputs=panel.controls["preset"], outputs=outputs, preprocess=False, js="() => kvdemo.given.run",
        **RUN, **PRIVATE,
    )  # fmt: skip


def _reopened(
    tab: MeasureTab, backend: Backend, run_id: str, visitor: Visitor
) -> Generator[dict[Component, Any] | None, None, None]:
    """Yield what to show of a measurement, None before each wait. A long one takes a second, beside others' steps."""
    readings = reopen(backend, run_id)
    while True:
        with backend.paced(visitor):
            reading = next(readings)
            running = reading is None or reading.state["phase"] == "running"
            last = {} if running else _last(tab, backend, reading)
        if not running:
            yield last
            return
        yield {tab.drawing: reading.state} if reading else None


def _last(tab: MeasureTab, backend: Backend, reading: Reading | None) -> dict[Component, Any]:
    """Show the last reading once more, with the download buttons for what was measured.

    Without the state it would be lost: Gradio's client edits a value that is an object in place, so that a `gr.skip`
    right behind it may empty what the page is about to draw.
    """
    if reading is None:
        return {}
    shown: dict[Component, Any] = {tab.drawing: reading.state}
    document = reading.document
    if document is None or not any(lane["runs"] for lane in document["lanes"]):
        return shown
    texts = {"csv": backend.measure_csv(document), "md": backend.measure_markdown(document)}
    return shown | downloads.offer(tab.files, document, texts)


def _wire_form(tab: MeasureTab, backend: Backend) -> None:
    controls, panel = tab.controls, tab.panel
    share = json.dumps(
        {"title": "Link to this measurement", "names": links.names(links.MEASURE), "keys": list(controls),
         "always": links.always(links.MEASURE), "defaults": default_form(backend),
         "tab": "measure", "button": "kv-m-link"}
    )  # fmt: skip

    model = controls["model"]
    model.change(fn=None, js="(id) => { kvdemo.tell('chooseModel', 'measure', id); }", inputs=model, **PRIVATE)
    panel.presets.pick(fn=None, js="() => kvdemo.given.picked", outputs=list(controls.values()), **PRIVATE)
    controls["preset"].change(
        fn=None, js="(id) => { kvdemo.tell('pressPreset', id); }", inputs=controls["preset"], **PRIVATE
    )
    gr.on(controls.events("input"), fn=None, js="() => ''", outputs=controls["preset"], **PRIVATE)
    tab.link.click(
        fn=None,
        js=f"(...values) => {{ kvdemo.tell('share', {share}, values); }}",
        inputs=list(controls.values()),
        **PRIVATE,
    )

    again = add_again("measure")

    def on_form(form: Form) -> dict[Component, Any]:
        said, later = estimate(backend, form, asking())
        return {panel.estimate: said, again: ask_again(later)}

    follow(controls, on_form, panel.estimate, again, tab="measure")
