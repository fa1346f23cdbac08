"""Make the race's form: a control for each setting of `RaceRequest`, by its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from kvdemo.core.settings.declaration import offered
from kvdemo.core.settings.race import RaceRequest
from kvdemo.web.backend import Backend
from kvdemo.web.components import fields, lane_settings
from kvdemo.web.components.element import drawn
from kvdemo.web.components.fields import Controls, chips
from kvdemo.web.components.tabs import Tabs
from kvdemo.web.tabs.race_events import NO_LIMIT_YET
from kvdemo.web.tabs.race_examples import EXAMPLES

QUICK_PICKS = (32, 128, 512)
#: Where the token slider ends until the model's context is known.
FIRST_MAXIMUM = 1024
#: The settings that examples fill in.
FILLED = tuple(dict.fromkeys(key for example in EXAMPLES for key in example.form))
#: What a schedule is called.
SCHEDULES = {"fair": "Fair turns"}


@dataclass(frozen=True)
class Panel:
    """The left column: the controls, and what acts on them.

    `gpu_cost` is the line on what a race costs, where a GPU is lent by the second.
    """

    controls: Controls
    race: gr.Button
    stop: gr.Button
    examples: gr.HTML
    quick_picks: gr.HTML
    gpu_cost: gr.HTML | None = None


def add_panel(backend: Backend, tabs: Tabs) -> Panel:
    """Add the left column to the Blocks that is being built."""
    default = backend.default_form()
    prompt = fields.prompt_box(default["prompt"], "kv-")
    # A value for each setting that any of them fills in; null leaves the visitor's own.
    picks = [(e.label, [e.form.get(key) for key in FILLED], e.why) for e in EXAMPLES]
    examples = chips("Examples", picks, elem_id="kv-examples")
    race, stop = fields.buttons("Race", "kv-", name="race")
    lent = backend.gpu_cost(default)
    gpu_cost = None if lent is None else drawn("line", value=lent, elem_id="kv-gpu-cost")
    with gr.Accordion("Settings", open=True, elem_id="kv-settings", elem_classes="kv-settings"):
        controls, quick_picks = _settings(backend, default, prompt, tabs)
    return Panel(controls, race, stop, examples, quick_picks, gpu_cost)


def _settings(backend: Backend, default: Mapping[str, Any], prompt: gr.Textbox, tabs: Tabs) -> tuple[Controls, gr.HTML]:
    settings = offered(RaceRequest)
    made: dict[str, Component] = {"prompt": prompt}
    made["model"] = fields.model_picker(backend, default["model"], "kv-")
    made["strategies"] = fields.lane_picker(
        default["strategies"], "kv-", tab="race", offers=lane_settings.offers(backend)
    )
    made["max_new_tokens"] = gr.Slider(
        1, max(FIRST_MAXIMUM, default["max_new_tokens"]), default["max_new_tokens"], step=1,
        label=settings["max_new_tokens"].label, info=NO_LIMIT_YET, elem_id="kv-tokens", elem_classes="kv-count",
    )  # fmt: skip
    quick_picks = chips("Token counts", [(str(n), n, "") for n in QUICK_PICKS], elem_id="kv-quick")
    schedule = settings["schedule"]
    made["schedule"] = gr.Radio(
        [(SCHEDULES.get(name, name.capitalize()), name) for name in schedule.choices], value=default["schedule"],
        label=schedule.label, info=schedule.about, elem_id="kv-schedule",
    )  # fmt: skip
    with tabs.add_late("sampling"):
        made |= fields.others(RaceRequest, default, "kv-", made)
    return Controls.of(RaceRequest, made), quick_picks
