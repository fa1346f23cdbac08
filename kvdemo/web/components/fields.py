"""Make the fields that more than one form has, each in one place. `prefix` begins their element ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
from gradio.components import Component

from kvdemo.core.settings.declaration import Setting, offered
from kvdemo.core.settings.race import MOST_LANES
from kvdemo.web.backend import Backend
from kvdemo.web.components.element import drawn
from kvdemo.web.components.lane_settings import Offers


class Controls(dict[str, Any]):
    """The controls of a form by the key that each fills, in the order in which the keys are declared."""

    @classmethod
    def of(cls, request: type[Any], made: Mapping[str, Component]) -> Controls:
        """Take them in order from the controls as they were made. A setting that has none is a KeyError."""
        return cls({key: made[key] for key in offered(request, "form")})

    def events(self, name: str) -> list[Any]:
        """List the listener `name` ("input", "change") of every control."""
        return [getattr(control, name) for control in self.values()]

    def form(self, values: Mapping[Component, Any]) -> dict[str, Any]:
        """Make a form from what an event delivered for each control."""
        return {key: values[control] for key, control in self.items()}


def spelled(setting: Setting, value: Any) -> Any:
    """Write a value as its control holds it: lanes, lengths and ids are text with commas, nothing is an empty text."""
    if (
        setting.kind in ("several", "lanes", "lengths", "ids")
        and isinstance(value, Sequence)
        and not isinstance(value, str)
    ):
        return ",".join(map(str, value))
    if setting.kind == "switch":
        return bool(value)
    return "" if value is None and setting.kind not in ("whole", "number") else value


def control(key: str, setting: Setting, value: Any, prefix: str, *, info: bool = False) -> Component:
    """Make the control of a setting that needs none of its own kind; with `info`, its help stands beside its label."""
    shared: dict[str, Any] = {
        "value": spelled(setting, value), "label": setting.label, "info": setting.about if info else None,
        "elem_id": prefix + (setting.link or key).replace("_", "-"),
    }  # fmt: skip
    if setting.kind == "switch":
        return gr.Checkbox(**shared)
    if setting.kind == "choice":
        automatic = [("automatic", "")] if setting.default is None else []
        choices = [*automatic, *((word, word) for word in setting.choices)]
        return gr.Dropdown(choices, filterable=False, min_width=60, elem_classes="kv-pick", **shared)
    if setting.slider:
        low, high, step = setting.slider
        return gr.Slider(low, high, step=step, min_width=100, **shared)
    if setting.kind in ("whole", "number"):
        precision = 0 if setting.kind == "whole" else None
        return gr.Number(precision=precision, min_width=60, elem_classes="kv-field", **shared)
    return gr.Textbox(placeholder=setting.example, elem_classes="kv-field", **shared)


def others(request: type[Any], default: Mapping[str, Any], prefix: str, made: Mapping[str, Component]) -> Controls:
    """Make controls for all settings that have none yet: sliders side by side, then fields beside the switches."""
    left = {key: setting for key, setting in offered(request, "form").items() if key not in made}
    sliders = {key: setting for key, setting in left.items() if setting.slider}
    switches = {key: setting for key, setting in left.items() if setting.kind == "switch"}
    found: dict[str, Component] = {}

    def add(settings: Mapping[str, Setting]) -> None:
        for key, setting in settings.items():
            found[key] = control(key, setting, default.get(key, setting.default), prefix)

    with gr.Row(elem_classes="kv-row"):
        add(sliders)
    with gr.Row(elem_classes="kv-row kv-last"):
        add({key: setting for key, setting in left.items() if key not in sliders | switches})
        with gr.Column(min_width=150, elem_classes="kv-switches"):
            add(switches)
    return Controls(found)


def prompt_box(text: str, prefix: str) -> gr.Textbox:
    """Make the field of the prompt."""
    return gr.Textbox(
        text, label="Prompt", lines=3, max_lines=8, elem_id=f"{prefix}prompt", elem_classes="kv-prompt",
        placeholder="Ask the model anything",
    )  # fmt: skip


def buttons(start: str, prefix: str, *, name: str) -> tuple[gr.Button, gr.Button]:
    """Make the button that starts, with the id `<prefix><name>`, and Stop."""
    with gr.Row(elem_classes="kv-actions"):
        # Off until the form holds what the link asks for: a quicker hand would start the default instead.
        begin = gr.Button(
            start, variant="primary", elem_id=f"{prefix}{name}", elem_classes="kv-start", interactive=False, scale=3
        )
        stop = gr.Button("Stop", elem_id=f"{prefix}stop", elem_classes="kv-stop", scale=1, min_width=70)
    return begin, stop


def model_picker(backend: Backend, chosen: str, prefix: str, *, reads_weights: bool = True) -> gr.Dropdown:
    """Make the list of models on offer, which also takes any other name, with a note on what that may be.

    `reads_weights` False: of any model of the Hub what is needed may be asked for.
    """
    free = backend.free_names()
    others = ["any Hub id"] * (free["hub"] or not reads_weights) + ["a folder"] * free["folders"]
    return gr.Dropdown(
        model_choices(backend.models()), value=chosen, allow_custom_value=True, label="Model",
        info=", ".join(f"or {other}" for other in others) or None, elem_id=f"{prefix}model", elem_classes="kv-pick",
    )  # fmt: skip


def lane_picker(chosen: Sequence[str], prefix: str, *, tab: str, offers: Offers | None = None) -> gr.HTML:
    """Make the lanes, each a strategy with its settings, as rows that frontend/form/lane_picker.js draws.

    Its value is a text: the lanes' specs with commas between them, as in a link. One picker of the page, the first, has
    the `offers` for all: they are large.
    """
    facts = {"tab": tab, "most": MOST_LANES} | ({"offers": offers} if offers else {})
    return drawn(
        "lanePicker", value=",".join(chosen), elem_id=f"{prefix}lanes", event="input", label="Lanes", facts=facts
    )


def chips(name: str, items: list[tuple[str, Any, str]], *, elem_id: str, sticky: bool = False) -> gr.HTML:
    """Make a row of buttons, each (label, value, tooltip); its event `pick` leaves the value in kvdemo.given.picked.

    Of `sticky` buttons one stays pressed: `kvdemo.tell('pressPreset', last)` says which, by the last of its values.
    """
    shown = [{"label": label, "value": value, "why": why} for label, value, why in items]
    facts = {"name": name, "sticky": sticky, "items": shown}
    return drawn("chips", value="", elem_id=elem_id, event="pick", facts=facts)


def model_choices(models: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """List catalogue entries as (label, id)."""
    return [(f"{m['label']}{' · gated' if m.get('gated') else ''}", m["id"]) for m in models]
