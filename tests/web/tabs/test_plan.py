"""The Plan tab without a browser: what a form becomes, and that the form asks for what the planner knows."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.declaration import declared
from kvdemo.core.visitor import NOBODY, Visitor
from kvdemo.costs.architecture import Architecture, LayerCache
from kvdemo.costs.planner import BITS, CACHE_BYTES, PlanRequest
from kvdemo.web.tabs.plan import ACCIDENT, DEFAULTS, add_plan_tab, worked_out

MODELS = [{"id": "org/model", "label": "Model", "chat": True, "gated": False}]


def architecture(name: str = "org/llama-7b", window: int | None = None) -> Architecture:
    """Llama-2-7B's shape; with a window, half of its layers slide."""
    full = LayerCache("full", kv_heads=32, head_dim=128)
    other = full if window is None else LayerCache("sliding", kv_heads=32, head_dim=128, window=window)
    return Architecture(
        name, (full, other) * 16, 32, 128, 4096, 32_000, 6_738_415_616, 6_607_343_616, 4096, "multi-head"
    )


def planned(form: Mapping[str, Any], _visitor: Visitor = NOBODY, **shape: Any) -> dict[str, Any]:
    """A plan as the engine makes one, for an architecture that is there without a model library."""
    return PlanRequest.parse(form).plan(architecture(**shape))


def backend(**given: Any) -> Any:
    """A backend that lists a model, says what else may be named, and plans, and nothing else."""

    able = {"models": lambda: MODELS, "free_names": lambda: {"hub": True, "folders": True}, "plan": planned}
    return SimpleNamespace(**able | given)  # asked for anything else, it raises AttributeError


def test_the_default_form_gives_a_plan() -> None:
    drawn = worked_out(backend(), DEFAULTS)
    assert drawn["error"] is None
    assert drawn["plan"]["cache"]["bytes_per_token"] == 524_288
    assert drawn["plan"]["settings"]["memory_bytes"] == 24 * 10**9


def components() -> dict[str, dict[str, Any]]:
    """The properties of the tab's labelled components, by label."""
    with gr.Blocks() as blocks:
        add_plan_tab(backend())
    found = blocks.get_config_file()["components"]
    return {one["props"]["label"]: one["props"] for one in found if one["props"].get("label")}


def test_the_form_has_a_control_for_every_setting_of_a_plan_with_its_default() -> None:
    shown = components()
    assert set(DEFAULTS) == {field.name for field in fields(PlanRequest)}
    for key, setting in declared(PlanRequest).items():
        assert shown[setting.label]["value"] == DEFAULTS[key]


def test_every_number_format_of_the_planner_can_be_chosen() -> None:
    offered = {label: {value for _, value in components()[label]["choices"]} for label in ("Weights", "Cache")}
    assert offered == {"Weights": set(BITS), "Cache": {"", *CACHE_BYTES}}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"memory_gb": None}, "memory in GB is missing"),
        ({"bandwidth_gb_s": 0}, "memory bandwidth"),
        ({"batch": -3}, "batch must be"),
        ({"context": "many"}, "context must be"),
        ({"dtype": ["float16"]}, "number format"),
        ({"model": "", "config": " "}, "nothing to plan for"),
    ],
)
def test_a_bad_field_gets_a_sentence(change: dict[str, Any], says: str) -> None:
    drawn = worked_out(backend(), {**DEFAULTS, **change})
    assert drawn["plan"] is None
    assert says in drawn["error"]


def test_a_refusal_of_the_backend_is_shown_unchanged() -> None:
    def refuse(_form: Mapping[str, Any], _visitor: Visitor) -> dict[str, Any]:
        raise BadInput("The pasted configuration is not JSON.")

    assert worked_out(backend(plan=refuse), DEFAULTS) == {
        "plan": None,
        "error": "The pasted configuration is not JSON.",
    }


def test_an_unexpected_error_is_logged_and_reported_in_one_sentence(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_form: Mapping[str, Any], _visitor: Visitor) -> dict[str, Any]:
        raise RuntimeError("secret detail")

    with caplog.at_level(logging.ERROR):
        assert worked_out(backend(plan=broken), DEFAULTS) == {"plan": None, "error": ACCIDENT}
    assert "secret detail" in caplog.text


def test_the_tab_has_labelled_controls_and_no_public_endpoint() -> None:
    with gr.Blocks() as blocks:
        add_plan_tab(backend())
    config = blocks.get_config_file()
    labels = {c["props"].get("label") for c in config["components"]}
    assert {"Model", "config.json", "Memory", "Bandwidth", "Weights", "Cache", "Context", "Batch"} <= labels
    assert {d["api_visibility"] for d in config["dependencies"]} == {"private"}
