"""Make the measuring form: a control for each setting of `MeasureRequest`, by its key.

`preset` is the preset that filled the form, or "" once something was changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from kvdemo.core.settings.declaration import offered
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.web.backend import Backend
from kvdemo.web.components import fields
from kvdemo.web.components.element import drawn
from kvdemo.web.components.fields import Controls, chips

PREFIX = "kv-m-"


@dataclass(frozen=True)
class MeasurePanel:
    """The left column: the controls, and what acts on them."""

    controls: Controls
    start: gr.Button
    stop: gr.Button
    presets: gr.HTML
    estimate: gr.HTML


def default_form(backend: Backend) -> dict[str, Any]:
    """Return the form as it stands before anybody touches it: the first preset's."""
    presets = backend.presets()
    return filled(backend, presets[0]) if presets else filled(backend, {"id": "", "form": {}})


def filled(backend: Backend, preset: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole form that a preset stands for, each value as its control holds it."""
    race = {key: value for key, value in backend.default_form().items() if key in {"prompt", "model"}}
    form = {**race, **preset["form"], "preset": preset["id"]}
    settings = offered(MeasureRequest, "form")
    return {key: fields.spelled(setting, form.get(key, setting.default)) for key, setting in settings.items()}


def add_measure_panel(backend: Backend) -> MeasurePanel:
    """Add the left column to the Blocks that is being built."""
    default = default_form(backend)
    items = [(p["label"], list(filled(backend, p).values()), p["why"]) for p in backend.presets()]
    presets = chips("Presets", items, elem_id=f"{PREFIX}presets", sticky=True)
    made: dict[str, Component] = {"prompt": fields.prompt_box(default["prompt"], PREFIX)}
    made["model"] = fields.model_picker(backend, default["model"], PREFIX)
    made["strategies"] = fields.lane_picker(default["strategies"].split(","), PREFIX, tab="measure")
    with gr.Row(elem_classes="kv-row kv-three"):
        made |= _controls(default, "max_new_tokens", "repeats", "warmup")
    start, stop = fields.buttons("Start", PREFIX, name="start")
    line = drawn("line", value="", elem_id=f"{PREFIX}estimate")
    with gr.Accordion("Break-even sweep", open=False, elem_id=f"{PREFIX}sweep", elem_classes="kv-fold"):
        made |= _controls(default, "sweep_prompt", "sweep_tokens", info=True)
    made["preset"] = gr.Textbox(default["preset"], visible="hidden", elem_id=f"{PREFIX}preset", label="Preset")
    with gr.Accordion("Sampling", open=False, elem_id=f"{PREFIX}sampling", elem_classes="kv-fold"):
        made |= fields.others(MeasureRequest, default, PREFIX, made)
    return MeasurePanel(Controls.of(MeasureRequest, made), start, stop, presets, line)


def _controls(default: Mapping[str, Any], *keys: str, info: bool = False) -> dict[str, Component]:
    settings = offered(MeasureRequest)
    return {key: fields.control(key, settings[key], default[key], PREFIX, info=info) for key in keys}
