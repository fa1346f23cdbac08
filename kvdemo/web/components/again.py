"""Have the page ask once more about a form, where an answer came that says to (`kvdemo.core.errors.NotNow`)."""

from __future__ import annotations

import itertools
from typing import Any

import gradio as gr

from kvdemo.core.errors import AGAIN_SECONDS
from kvdemo.web.components.element import drawn

_numbers = itertools.count(1)


def add_again(tab: str) -> gr.HTML:
    """Add an element that shows nothing: when its value changes, `follow`'s question in `tab` is put again, later."""
    return drawn(
        "again", value=0, elem_id=f"kv-again-{tab}", facts={"tab": tab, "seconds": AGAIN_SECONDS}, classes=["kv-unseen"]
    )


def ask_again(wanted: bool) -> Any:
    """Return what that element is to hold: a number that it never had, or what it holds."""
    return next(_numbers) if wanted else gr.skip()
