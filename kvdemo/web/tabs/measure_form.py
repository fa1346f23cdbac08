"""The measuring form. Its controls are named as the form keys that they fill, as the race's are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from kvdemo.web.backend import Backend
from kvdemo.web.components import fields
from kvdemo.web.components.element import drawn
from kvdemo.web.components.fields import Keyed, chips

DEFAULTS: dict[str, Any] = {
    "max_new_tokens": 64, "chat": False, "temperature": 0.0, "top_p": 1.0, "seed": 0, "repeats": 3, "warmup": 1,
    "sweep_prompt": "", "sweep_tokens": "", "preset": "",
}  # fmt: skip
PREFIX = "kv-m-"


@dataclass(frozen=True)
class MeasureControls(Keyed):
    """The controls by form key. `preset` is the preset that filled the form, or "" once something was changed."""

    prompt: gr.Textbox
    model: gr.Dropdown
    strategies: gr.HTML
    max_new_tokens: gr.Number
    repeats: gr.Number
    warmup: gr.Number
    sweep_prompt: gr.Textbox
    sweep_tokens: gr.Textbox
    chat: gr.Checkbox
    temperature: gr.Slider
    top_p: gr.Slider
    seed: gr.Number
    preset: gr.Textbox


@dataclass(frozen=True)
class MeasurePanel:
    """The left column: the controls, and what acts on them."""

    controls: MeasureControls
    start: gr.Button
    stop: gr.Button
    presets: gr.HTML
    estimate: gr.HTML


def default_form(backend: Backend) -> dict[str, Any]:
    """The form as it stands before anybody touches it: the first preset's."""
    presets = backend.presets()
    return filled(backend, presets[0]) if presets else filled(backend, {"id": "", "form": {}})


def filled(backend: Backend, preset: Mapping[str, Any]) -> dict[str, Any]:
    """The whole form that a preset stands for, each value as its control holds it."""
    keys = MeasureControls.__dataclass_fields__
    race = {key: value for key, value in backend.default_form().items() if key in {"prompt", "model", "strategies"}}
    form = {**DEFAULTS, **race, **preset["form"], "preset": preset["id"]}
    return {key: spelled(key, form[key]) for key in keys}


def spelled(key: str, value: Any) -> Any:
    """Lengths and lanes are text with commas."""
    if key not in {"sweep_prompt", "sweep_tokens", "strategies"}:
        return value
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(str(item) for item in value)
    return value or ""


def add_measure_panel(backend: Backend) -> MeasurePanel:
    """Add the left column to the Blocks that is being built."""
    default = default_form(backend)
    items = [(p["label"], list(filled(backend, p).values()), p["why"]) for p in backend.presets()]
    presets = chips("Presets", items, elem_id=f"{PREFIX}presets", sticky=True)
    prompt = fields.prompt_box(default["prompt"], PREFIX)
    model = fields.model_picker(backend, default["model"], PREFIX)
    strategies = fields.lane_picker(backend, default["strategies"].split(","), PREFIX, tab="measure")
    with gr.Row(elem_classes="kv-row kv-three"):
        tokens = fields.number(default["max_new_tokens"], "New tokens", f"{PREFIX}tokens")
        repeats = fields.number(default["repeats"], "Repeats", f"{PREFIX}repeats")
        warmup = fields.number(default["warmup"], "Warm-up", f"{PREFIX}warmup")
    start, stop = fields.buttons("Start", PREFIX, name="start")
    line = drawn("line", value="", elem_id=f"{PREFIX}estimate")
    sweep_prompt, sweep_tokens = _sweep(default)
    chat, temperature, top_p, seed = _sampling(default)
    preset = gr.Textbox(default["preset"], visible="hidden", elem_id=f"{PREFIX}preset", label="Preset")
    controls = MeasureControls(
        prompt, model, strategies, tokens, repeats, warmup, sweep_prompt, sweep_tokens, chat, temperature, top_p, seed,
        preset,
    )  # fmt: skip
    return MeasurePanel(controls, start, stop, presets, line)


def _sweep(default: Mapping[str, Any]) -> tuple[gr.Textbox, gr.Textbox]:
    with gr.Accordion("Break-even sweep", open=False, elem_id=f"{PREFIX}sweep", elem_classes="kv-fold"):
        prompts = gr.Textbox(
            default["sweep_prompt"], label="Prompt lengths", info="tokens, with commas; empty for no sweep",
            placeholder="16,128,512", elem_id=f"{PREFIX}sweep-prompt", elem_classes="kv-field",
        )  # fmt: skip
        tokens = gr.Textbox(
            default["sweep_tokens"], label="New tokens", info="a column for each count", placeholder="32,128",
            elem_id=f"{PREFIX}sweep-tokens", elem_classes="kv-field",
        )  # fmt: skip
    return prompts, tokens


def _sampling(default: Mapping[str, Any]) -> tuple[gr.Checkbox, gr.Slider, gr.Slider, gr.Number]:
    with gr.Accordion("Sampling", open=False, elem_id=f"{PREFIX}sampling", elem_classes="kv-fold"):
        temperature, top_p = fields.sampling(default)
        with gr.Row(elem_classes="kv-row kv-last"):
            seed = fields.number(default["seed"], "Seed", f"{PREFIX}seed")
            with gr.Column(min_width=150, elem_classes="kv-switches"):
                chat = gr.Checkbox(bool(default["chat"]), label="Chat template", elem_id=f"{PREFIX}chat")
    return chat, temperature, top_p, seed
