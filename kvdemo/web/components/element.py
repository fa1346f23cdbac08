"""Make elements that the browser draws itself: a `gr.HTML` with a static template, and a function of frontend/.

The value is data. A template with `${value}` would run model output as script; here a script writes it as text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import gradio as gr


def drawn(
    name: str,
    *,
    value: Any,
    elem_id: str,
    event: str | None = None,
    facts: Any = None,
    label: str | None = None,
    classes: Sequence[str] = (),
) -> gr.HTML:
    """Make an element that a function of frontend/ draws, which frontend/main.js has under `name`.

    It is called with (element, props, watch, fire, facts).

    event    the name of an event of the element, which `fire()` triggers; Gradio looks for it in the script
    facts    what never changes; it is part of the script: as a prop it would be compared with every update
    label    its name, if it is a control
    classes  further classes of the element
    """
    fire = f"() => trigger('{event}')" if event else "null"
    how = f"{json.dumps(name)}, element, props, watch, {fire}, {json.dumps(facts)}"
    return gr.HTML(
        value, html_template="<div></div>", js_on_load=f"kvdemo.draw({how})", apply_default_css=False, elem_id=elem_id,
        label=label, elem_classes=["kv-drawn", *classes],
    )  # fmt: skip
