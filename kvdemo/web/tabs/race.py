"""Lay out and wire the Race tab. race_events.py decides what is said, frontend/race/ what is drawn.

One generator event drives all lanes of a race. It streams to the stage, a `gr.HTML` with a static template whose
value is a text that only grows; the browser's script parses what was appended and draws it. `gr.Plot` and a
template with `${value}` would both be simpler, and wrong: the one remounts the chart with every update, the other
would run model output as script.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import gradio as gr
from anyio import to_thread
from gradio.components import Component

from kvdemo.web import links, wire
from kvdemo.web.backend import Backend, Form
from kvdemo.web.components import downloads
from kvdemo.web.components.again import add_again, ask_again
from kvdemo.web.components.element import drawn
from kvdemo.web.components.fields import Controls
from kvdemo.web.components.follow import PRIVATE, follow, when_over
from kvdemo.web.components.tabs import Tabs
from kvdemo.web.run_streams import RUN, Runs, asking, visitor_of
from kvdemo.web.tabs.race_events import TokenBudget, play, token_budget
from kvdemo.web.tabs.race_form import FILLED, FIRST_MAXIMUM, Panel, add_panel


@dataclass(frozen=True)
class RaceTab:
    """The components that events write to."""

    panel: Panel
    stage: gr.HTML
    json_file: gr.DownloadButton
    csv_file: gr.DownloadButton
    share: gr.Button

    @property
    def controls(self) -> Controls:
        return self.panel.controls

    @property
    def arrival_outputs(self) -> list[Component]:
        """What a link may write to."""
        return [*self.controls.values(), self.stage, self.panel.race]

    def arrive(self, query: Mapping[str, str], strategies: links.Strategies) -> tuple[dict[Component, Any], bool]:
        """Fill the form from a link, and let it be started; and whether the link asks for that at once."""
        link = links.read(query, strategies)
        filled = {self.controls[key]: _filled(key, value) for key, value in link.form.items()}
        if link.notices:
            filled[self.stage] = [wire.opening("link"), *map(wire.notice, link.notices)]
        return {**filled, self.panel.race: gr.Button(interactive=True)}, link.run


def _filled(key: str, value: Any) -> Any:
    """Return what to write into a control. The slider has to reach as far as the link asks."""
    if key == "max_new_tokens":
        return gr.Slider(value=value, minimum=min(1, value), maximum=max(FIRST_MAXIMUM, value))
    return value


def add_race_tab(backend: Backend, tabs: Tabs) -> RaceTab:
    """Add the tab's content, with its events, to the Blocks that is being built."""
    with gr.Row(elem_id="kv-page", equal_height=False, elem_classes="kv-split"):
        with gr.Column(elem_id="kv-form", min_width=300, elem_classes="kv-form"):
            panel = add_panel(backend, tabs)
        with gr.Column(elem_id="kv-main", min_width=300, elem_classes="kv-main"):
            tab = _main(backend, panel)
    _wire_runs(tab, backend)
    _wire_form(tab, backend)
    return tab


def _main(backend: Backend, panel: Panel) -> RaceTab:
    """Make the right column: the stage, and what can be taken away."""
    with gr.Row(elem_id="kv-exports", elem_classes="kv-exports"):
        share = gr.Button("Share", size="sm", min_width=60, elem_id="kv-share")
        json_file = gr.DownloadButton("JSON", size="sm", min_width=60, visible=False, elem_id="kv-json")
        csv_file = gr.DownloadButton("CSV", size="sm", min_width=60, visible=False, elem_id="kv-csv")
    lanes = ",".join(backend.default_form()["strategies"])
    drawing = drawn("stage", elem_id="kv-stage", value=[], event="use_tokens", facts={"lanes": lanes})
    return RaceTab(panel, drawing, json_file, csv_file, share)


def _wire_runs(tab: RaceTab, backend: Backend) -> None:
    runs = Runs(backend.stop)
    controls, panel = tab.controls, tab.panel
    files = [tab.json_file, tab.csv_file]

    async def on_race(values: dict[Component, Any], request: gr.Request) -> AsyncIterator[dict[Component, Any]]:
        visitor = visitor_of(request, keeps=True)
        with runs.running(visitor.session) as run_id:
            yield {button: gr.DownloadButton(visible=False) for button in files}
            document: Mapping[str, Any] | None = None
            played = play(backend, controls.form(values), run_id, visitor)
            async with aclosing(runs.stream(played, run_id, request)) as frames:
                async for frame in frames:
                    document = frame.document
                    yield {tab.stage: frame.sheets}
            offered = await to_thread.run_sync(_offered, tab, backend, document)
            # Gradio repeats the last values when the event completes: let that not be the whole stage again.
            yield {tab.stage: gr.skip(), **offered}

    def on_stop(request: gr.Request) -> None:
        runs.stop(visitor_of(request).session)

    started = panel.race.click(
        on_race, inputs=set(controls.values()), outputs=[tab.stage, *files],
        preprocess=False, js="(...form) => { kvdemo.tell('busy', 'race', true); return form; }",
        **RUN, **PRIVATE,
    )  # fmt: skip
    when_over(started, "() => { kvdemo.tell('busy', 'race', false); }")
    panel.stop.click(on_stop, js="() => { kvdemo.tell('stopping', 'race'); }", concurrency_limit=None, **PRIVATE)


def _offered(tab: RaceTab, backend: Backend, document: Mapping[str, Any] | None) -> dict[Component, Any]:
    """Offer the download buttons for a finished race."""
    if document is None:
        return {}
    buttons = {"json": tab.json_file, "csv": tab.csv_file}
    return downloads.offer(buttons, document, {"csv": backend.document_csv(document)})


def _wire_form(tab: RaceTab, backend: Backend) -> None:
    controls, panel = tab.controls, tab.panel
    share = json.dumps(
        {"title": "Link to this race", "names": links.names(links.RACE), "always": links.always(links.RACE),
         "keys": list(controls), "defaults": backend.default_form(),
         "run": "Start the race when the link is opened", "button": "kv-share"}
    )  # fmt: skip
    templates = json.dumps({m["id"]: m["chat"] for m in backend.models() if m.get("chat") is not None})

    filled = [controls[key] for key in FILLED]
    picked = panel.examples.pick(
        fn=None, js="(...values) => values.map((value, i) => kvdemo.given.picked[i] ?? value)",
        inputs=filled, outputs=filled, **PRIVATE,
    )  # fmt: skip
    picked.then(fn=None, js="() => { kvdemo.tell('showQuestion'); }", **PRIVATE)
    panel.quick_picks.pick(fn=None, js="() => kvdemo.given.picked", outputs=controls["max_new_tokens"], **PRIVATE)
    tab.stage.use_tokens(fn=None, js="() => kvdemo.given.tokens", outputs=controls["max_new_tokens"], **PRIVATE)
    model, chat = controls["model"], controls["chat"]
    model.change(fn=None, js="(id) => { kvdemo.tell('chooseModel', 'race', id); }", inputs=model, **PRIVATE)
    model.input(
        fn=None, js=f"(model, chat) => ({templates})[model] === false ? false : chat",
        inputs=[model, chat], outputs=chat, **PRIVATE,
    )  # fmt: skip
    tab.share.click(
        fn=None,
        js=f"(...values) => {{ kvdemo.tell('share', {share}, values); }}",
        inputs=list(controls.values()),
        **PRIVATE,
    )
    slider, again, line = controls["max_new_tokens"], add_again("race"), panel.gpu_cost

    def on_form(form: Form) -> dict[Component, Any]:
        left = token_budget(backend, form, asking())
        shown = {slider: _room(left, form), again: ask_again(left.again)}
        return shown if line is None else shown | {line: backend.gpu_cost(form) or ""}

    if line is None:
        follow(controls, on_form, slider, again, tab="race", watched=["prompt", "model", "chat"])
    else:
        follow(controls, on_form, slider, again, line, tab="race", on_end=True)


def _room(left: TokenBudget, form: Form) -> Any:
    """Set the token slider as far as the context has room."""
    if left.maximum is None:
        return gr.Slider(info=left.line)
    # A count that no longer fits stays: the race says so, with the largest that does.
    wanted = form["max_new_tokens"] if isinstance(form["max_new_tokens"], int) else 1
    return gr.Slider(info=left.line, maximum=max(left.maximum, wanted))
