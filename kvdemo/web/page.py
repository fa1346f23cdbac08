"""Build the page: its header, its tabs, and what happens when it opens. Each tab lays itself out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.events import Dependency

from kvdemo.web.api.endpoints import add_endpoints
from kvdemo.web.backend import Backend
from kvdemo.web.components import lane_settings
from kvdemo.web.components.element import drawn
from kvdemo.web.components.follow import AT_ONCE, PRIVATE
from kvdemo.web.components.form_keeper import keep
from kvdemo.web.components.tabs import Tabs
from kvdemo.web.gradio_patches.few_files import take_few_files
from kvdemo.web.gradio_patches.guarded_blocks import GuardedBlocks
from kvdemo.web.gradio_patches.kept_answers import keep_answers
from kvdemo.web.gradio_patches.light_sessions import lighten_sessions
from kvdemo.web.gradio_patches.own_origin import for_its_own_origin
from kvdemo.web.gradio_patches.quiet import quieten
from kvdemo.web.gradio_patches.shared_queue import MOST, share_queue
from kvdemo.web.gradio_patches.unknown_sessions import steady
from kvdemo.web.gradio_patches.unread_answers import limit_unread
from kvdemo.web.tabs.compare import add_compare_tab
from kvdemo.web.tabs.inside import InsideTab, add_inside_tab
from kvdemo.web.tabs.measure import MeasureTab, add_measure_tab
from kvdemo.web.tabs.plan import add_plan_tab
from kvdemo.web.tabs.race import RaceTab, add_race_tab
from kvdemo.web.tabs.race_events import model_status, watch
from kvdemo.web.theme import launch_options

__all__ = ["build", "launch_options"]

TITLE = "kvdemo: what the KV cache buys"
#: Files of visitors are looked through so often, and removed at this age: none is kept for an hour. Gradio removes what
#: it noted, and keeps a note for ever where another removed the file. So the server removes all others later (app.py):
#: what uploads left that were broken off or came under another name, and empty folders.
LOOK_FOR_FILES_SECONDS, KEEP_FILES_SECONDS, KEEP_ALL_SECONDS = 300, 2500, 2900


def build(backend: Backend) -> gr.Blocks:
    """Build the page on top of `backend`. Launch it with `launch(**launch_options())`."""
    lighten_sessions()
    take_few_files()
    with GuardedBlocks(
        title=TITLE,
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(LOOK_FOR_FILES_SECONDS, KEEP_FILES_SECONDS),
    ) as blocks:
        # It holds the row of tabs (frontend/shell/tabs.js).
        header = drawn("header", elem_id="kv-header", value=backend.status(), event="ask")
        with gr.Column(elem_id="kv-app"):
            tabs = Tabs()
            with tabs.add("race"):
                race = add_race_tab(backend, tabs)
            with tabs.add("measure"):
                measure = add_measure_tab(backend)
            with tabs.add("compare"):
                add_compare_tab(backend)
            with tabs.add("plan"):
                plan = add_plan_tab(backend)
            with tabs.add("inside"):
                inside = add_inside_tab(backend)
            tabs.wire()
        arrival = _wire_arrival(blocks, header, race, measure, inside, backend)
        keep(arrival, race.controls, measure.controls, plan, inside.controls)
        _wire_status(header, backend)
        _wire_leaving(blocks, backend)
    # A page of their own: on this one the browser would make a component for each of their parameters.
    with blocks.route("API", "endpoints", show_in_navbar=False):
        add_endpoints(backend)
    # Runs do not wait in it (web/run_streams.py): it holds what is answered in a moment.
    queued = quieten(blocks.queue(api_open=False, max_size=MOST))
    return for_its_own_origin(share_queue(limit_unread(steady(keep_answers(queued)))))


def _wire_arrival(
    blocks: gr.Blocks, header: gr.HTML, race: RaceTab, measure: MeasureTab, inside: InsideTab, backend: Backend
) -> Dependency:
    def asked(request: gr.Request, tab: str) -> Mapping[str, str]:
        # A link is for one tab. The others keep their own.
        query = request.query_params
        return query if query.get("tab", "race") == tab else {}

    def on_arrival(request: gr.Request) -> dict[Component, Any]:
        filled, _ = race.arrive(asked(request, "race"), settings)
        filled |= measure.arrive(asked(request, "measure"), settings)
        return filled | inside.arrive(asked(request, "inside"))

    async def on_arrived(request: gr.Request) -> AsyncIterator[dict[str, Any]]:
        _, run = race.arrive(asked(request, "race"), settings)
        async for status in watch(backend):
            yield {**status, "run": run}

    settings = lane_settings.names(backend)
    outputs = [*race.arrival_outputs, *measure.arrival_outputs, *inside.arrival_outputs]
    # Outside the queue, which would take a request more before the forms can be used.
    arrival = blocks.load(on_arrival, queue=False, outputs=outputs, **PRIVATE)
    # The status says whether the link asks for a race, so it comes once the form is filled.
    arrival.then(on_arrived, concurrency_limit=None, outputs=header, **PRIVATE)
    return arrival


def _wire_status(header: gr.HTML, backend: Backend) -> None:
    """Ask what stands now, after a run, which may have loaded another model."""

    def on_ask() -> Any:
        status = model_status(backend)
        return status if status["state"] == "ready" else gr.skip()

    header.ask(on_ask, outputs=header, concurrency_limit=AT_ONCE, **PRIVATE)


def _wire_leaving(blocks: gr.Blocks, backend: Backend) -> None:
    def on_leave(request: gr.Request) -> None:
        backend.forget(request.session_hash or "")

    blocks.unload(on_leave)
