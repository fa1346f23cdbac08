"""The fields that more than one form has, each made in one place. `prefix` begins their element ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import gradio as gr
from gradio.components import Component

from kvdemo.core.settings import MOST_LANES
from kvdemo.web.backend import Backend
from kvdemo.web.components.element import drawn


class Keyed:
    """Base of a dataclass of controls whose fields are named as the form keys that they fill."""

    def by_key(self) -> dict[str, Component]:
        """The controls as a mapping, in the order of the fields."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    def events(self, name: str) -> list[Any]:
        """The listener `name` ("input", "change") of every control."""
        return [getattr(control, name) for control in self.by_key().values()]

    def form(self, values: Mapping[Component, Any]) -> dict[str, Any]:
        """A form from what an event delivered for each control."""
        return {key: values[control] for key, control in self.by_key().items()}


def prompt_box(text: str, prefix: str) -> gr.Textbox:
    """The prompt."""
    return gr.Textbox(
        text, label="Prompt", lines=3, max_lines=8, elem_id=f"{prefix}prompt", elem_classes="kv-prompt",
        placeholder="Ask the model anything",
    )  # fmt: skip


def buttons(start: str, prefix: str, *, name: str) -> tuple[gr.Button, gr.Button]:
    """The button that starts, with the id `<prefix><name>`, and Stop."""
    with gr.Row(elem_classes="kv-actions"):
        # Off until the form holds what the link asks for: a quicker hand would start the default instead.
        begin = gr.Button(
            start, variant="primary", elem_id=f"{prefix}{name}", elem_classes="kv-start", interactive=False, scale=3
        )
        stop = gr.Button("Stop", elem_id=f"{prefix}stop", elem_classes="kv-stop", scale=1, min_width=70)
    return begin, stop


def model_picker(backend: Backend, chosen: str, prefix: str) -> gr.Dropdown:
    """The catalogue, and room for any other id."""
    return gr.Dropdown(
        model_choices(backend.models()), value=chosen, allow_custom_value=True, label="Model",
        info="or any Hub id, or a folder", elem_id=f"{prefix}model", elem_classes="kv-pick",
    )  # fmt: skip


def lane_picker(backend: Backend, chosen: Sequence[str], prefix: str, *, tab: str) -> gr.HTML:
    """The lanes, each a strategy with its settings, as rows that static/lane_picker.js draws.

    Its value is a text: the lanes' specs with commas between them, as in a link.
    """
    offered = [
        {key: s[key] for key in ("id", "name", "summary")} | {"options": _settings(s)} for s in backend.strategies()
    ]
    return drawn(
        "lanePicker", value=",".join(chosen), elem_id=f"{prefix}lanes", event="input", label="Lanes",
        facts={"strategies": offered, "tab": tab, "most": MOST_LANES},
    )  # fmt: skip


def _settings(strategy: Mapping[str, Any]) -> dict[str, Any]:
    """A strategy's settings for the browser, whose numbers do not tell a whole 1 from a 1.0."""
    options = strategy.get("options") or {}
    return {name: {**option, "whole": isinstance(option["default"], int)} for name, option in options.items()}


def sampling(default: Mapping[str, Any]) -> tuple[gr.Slider, gr.Slider]:
    """Temperature and top-p, side by side."""
    with gr.Row(elem_classes="kv-row"):
        temperature = gr.Slider(0, 2, default["temperature"], step=0.05, label="Temperature", min_width=100)
        top_p = gr.Slider(0.05, 1, default["top_p"], step=0.05, label="Top-p", min_width=100)
    return temperature, top_p


def number(value: float, label: str, elem_id: str, **more: Any) -> gr.Number:
    """A whole number to type."""
    return gr.Number(value, precision=0, label=label, min_width=60, elem_id=elem_id, elem_classes="kv-field", **more)


def chips(name: str, items: list[tuple[str, Any, str]], *, elem_id: str, sticky: bool = False) -> gr.HTML:
    """A row of small buttons, each (label, value, tooltip). Its event `pick` leaves the value in kvdemo.picked.

    `sticky` buttons stay pressed while `kvdemo.preset(last)` says so, with the last of their list of values.
    """
    return gr.HTML(
        "", html_template="<div></div>", js_on_load="kvdemo.chips(element, props, () => trigger('pick'))",
        apply_default_css=False, elem_id=elem_id, elem_classes="kv-drawn", name=name, sticky=sticky,
        items=[{"label": label, "value": value, "why": why} for label, value, why in items],
    )  # fmt: skip


def model_choices(models: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Catalogue entries as (label, id)."""
    return [(f"{m['label']}{' · gated' if m.get('gated') else ''}", m["id"]) for m in models]
