"""The race's form. Every control is a field of `Controls`, named as the form key that it fills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from kvdemo.web.backend import Backend
from kvdemo.web.components import fields
from kvdemo.web.components.fields import Keyed, chips
from kvdemo.web.tabs.race_examples import EXAMPLES

QUICK_PICKS = (32, 128, 512)
#: Where the token slider ends until the model's context is known.
FIRST_MAXIMUM = 1024
SCHEDULES = [("Fair turns", "fair"), ("Simultaneous", "simultaneous")]
SCHEDULE_INFO = (
    "Fair turns: one lane at a time has the device, each step is timed alone. "
    "Simultaneous: all at once, slowing each other down."
)


@dataclass(frozen=True)
class Controls(Keyed):
    """The controls by form key."""

    prompt: gr.Textbox
    model: gr.Dropdown
    max_new_tokens: gr.Slider
    strategies: gr.HTML
    schedule: gr.Radio
    chat: gr.Checkbox
    temperature: gr.Slider
    top_p: gr.Slider
    seed: gr.Number
    ignore_eos: gr.Checkbox


@dataclass(frozen=True)
class Panel:
    """The left column: the controls, and what acts on them."""

    controls: Controls
    race: gr.Button
    stop: gr.Button
    examples: gr.HTML
    quick_picks: gr.HTML


def add_panel(backend: Backend) -> Panel:
    """Add the left column to the Blocks that is being built."""
    default = backend.default_form()
    prompt = fields.prompt_box(default["prompt"], "kv-")
    picks = [(e.label, [e.text, e.lanes], e.why) for e in EXAMPLES]
    examples = chips("Example prompts", picks, elem_id="kv-examples")
    race, stop = fields.buttons("Race", "kv-", name="race")
    with gr.Accordion("Settings", open=True, elem_id="kv-settings", elem_classes="kv-settings"):
        controls, quick_picks = _settings(backend, default, prompt)
    return Panel(controls, race, stop, examples, quick_picks)


def _settings(backend: Backend, default: Mapping[str, Any], prompt: gr.Textbox) -> tuple[Controls, gr.HTML]:
    model = fields.model_picker(backend, default["model"], "kv-")
    strategies = fields.lane_picker(backend, default["strategies"], "kv-", tab="race")
    tokens = gr.Slider(
        1, max(FIRST_MAXIMUM, default["max_new_tokens"]), default["max_new_tokens"], step=1, label="New tokens",
        info="the limit is known once the model is loaded", elem_id="kv-tokens", elem_classes="kv-count",
    )  # fmt: skip
    quick_picks = chips("Token counts", [(str(n), n, "") for n in QUICK_PICKS], elem_id="kv-quick")
    schedule = gr.Radio(
        SCHEDULES, value=default["schedule"], label="Schedule", info=SCHEDULE_INFO, elem_id="kv-schedule"
    )
    temperature, top_p = fields.sampling(default)
    with gr.Row(elem_classes="kv-row kv-last"):
        seed = fields.number(default["seed"], "Seed", "kv-seed")
        with gr.Column(min_width=150, elem_classes="kv-switches"):
            chat = gr.Checkbox(default["chat"], label="Chat template", elem_id="kv-chat")
            ignore_eos = gr.Checkbox(default["ignore_eos"], label="Ignore end of text", elem_id="kv-ignore-eos")
    controls = Controls(prompt, model, tokens, strategies, schedule, chat, temperature, top_p, seed, ignore_eos)
    return controls, quick_picks
