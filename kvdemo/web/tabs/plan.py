"""Lay out the Plan tab: what a model's cache needs of a machine, worked out while the form is filled.

Nothing is loaded or measured for it. Every figure is a formula's or a prediction, and frontend/plan/view.js says which.
"""

from __future__ import annotations

import logging
from typing import Any

import gradio as gr
from gradio.components import Component

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.declaration import offered
from kvdemo.core.visitor import NOBODY, Visitor
from kvdemo.costs.planner import PlanRequest
from kvdemo.web.backend import Backend, Form
from kvdemo.web.components import fields
from kvdemo.web.components.element import drawn
from kvdemo.web.components.fields import Controls, chips
from kvdemo.web.components.follow import PRIVATE, follow
from kvdemo.web.run_streams import asking

log = logging.getLogger(__name__)

PREFIX = "kv-p-"
#: The line in which plans wait, the page's and those of the API: one visitor has one slot of it.
PLAN_LINE = "plan"
MEMORIES_GB = (8, 16, 24, 40, 80, 141)
#: The example of most articles on a card that many have: 24 GB at 600 GB/s are an A10's (NVIDIA's data sheet).
EXAMPLE: dict[str, Any] = {
    "model": "meta-llama/Llama-2-7b-hf", "memory_gb": 24, "bandwidth_gb_s": 600, "dtype": "float16", "context": 4096,
}  # fmt: skip
SETTINGS = offered(PlanRequest)
DEFAULTS = {key: fields.spelled(setting, EXAMPLE.get(key, setting.default)) for key, setting in SETTINGS.items()}
ACCIDENT = "Something went wrong on the server, and this could not be worked out. The form is as you left it."
NOTHING: dict[str, Any] = {"plan": None, "error": None}
TERMS = {
    "bytes_per_token": {
        "name": "Cache per token",
        "long": "Cache bytes a token",
        "text": "By how much one more token of one sequence makes the cache grow: keys and values, "
        "2 · layers · KV heads · head size · bytes per number. Query heads do not count.",
        "also": "KV bytes per token",
    },
    "weights": {
        "name": "Weights",
        "long": "The model's weights",
        "text": "Parameters times the bits of their number format. Scales and zero points of quantised formats are "
        "not counted.",
        "also": "",
    },
    "cache": {
        "name": "Cache",
        "long": "Cache at this context and batch",
        "text": "What all sequences of the batch hold when each has reached the context.",
        "also": "KV cache",
    },
    "largest_context": {
        "name": "Largest context",
        "long": "The longest text that fits",
        "text": "How many tokens a single sequence can have before weights and cache together fill the memory. "
        "Activations, libraries and what an allocator leaves unused come on top and are not counted.",
        "also": "",
    },
    "largest_batch": {
        "name": "Largest batch",
        "long": "The most sequences that fit",
        "text": "How many sequences of this context have room beside the weights.",
        "also": "concurrent requests",
    },
    "floor": {
        "name": "Decode floor",
        "long": "The least time of a decode step",
        "text": "(bytes of the weights that a token uses + bytes of the cache) / memory bandwidth. A step gives each "
        "sequence of the batch one token. No step can be faster; real ones are slower.",
        "also": "roofline",
    },
    "rate": {
        "name": "Tokens/s",
        "long": "Tokens per second at the floor",
        "text": "Batch divided by the decode floor: the most tokens a second over all sequences.",
        "also": "output throughput",
    },
    "outgrows": {
        "name": "Cache outgrows weights",
        "long": "Where the cache is larger than the model",
        "text": "The context at which one sequence's cache takes more bytes than all the weights.",
        "also": "",
    },
}


def worked_out(backend: Backend, form: Form, visitor: Visitor = NOBODY) -> dict[str, Any]:
    """Make what the tab draws: {"plan": dict or None, "error": one sentence or None}."""
    try:
        return {"plan": backend.plan(form, visitor), "error": None}
    except BadInput as error:
        return {"plan": None, "error": str(error)}
    except Exception:
        log.exception("a plan failed")
        return {"plan": None, "error": ACCIDENT}


def add_plan_tab(backend: Backend) -> Controls:
    """Add the tab's content, with its events, to the Blocks that is being built; returns its form."""
    with gr.Row(equal_height=False, elem_classes="kv-split"):
        with gr.Column(min_width=300, elem_classes=["kv-form", "kv-sticky"]):
            controls, picks = _controls(backend)
        with gr.Column(min_width=300, elem_classes="kv-main"):
            drawing = drawn("plan", value=NOTHING, elem_id="kv-plan", facts=TERMS)
    picks.pick(fn=None, js="() => kvdemo.given.picked", outputs=controls["memory_gb"], **PRIVATE)
    follow(
        controls, lambda form: worked_out(backend, form, asking()), drawing, tab="plan", on_model=False, line=PLAN_LINE
    )
    return controls


def _controls(backend: Backend) -> tuple[Controls, gr.HTML]:
    made: dict[str, Component] = {"model": fields.model_picker(backend, DEFAULTS["model"], PREFIX, reads_weights=False)}
    with gr.Accordion("Or a config.json", open=False, elem_id=f"{PREFIX}paste", elem_classes="kv-fold"):
        made["config"] = gr.Textbox(
            DEFAULTS["config"], label=SETTINGS["config"].label, info="what is pasted here comes before the model",
            lines=5, max_lines=12, elem_id=f"{PREFIX}config", elem_classes="kv-prompt",
            placeholder='{"model_type": "llama", "num_hidden_layers": 32, …}',
        )  # fmt: skip
    made |= _settings("memory_gb", info=True)
    picks = chips("Memory sizes", [(str(n), n, "") for n in MEMORIES_GB], elem_id=f"{PREFIX}memories")
    made |= _settings("bandwidth_gb_s", info=True)
    with gr.Row(elem_classes="kv-row"):
        made |= _settings("dtype", "cache_dtype")
    with gr.Row(elem_classes="kv-row"):
        made |= _settings("context", "batch")
    return Controls.of(PlanRequest, made), picks


def _settings(*keys: str, info: bool = False) -> dict[str, Component]:
    return {key: fields.control(key, SETTINGS[key], DEFAULTS[key], PREFIX, info=info) for key in keys}
