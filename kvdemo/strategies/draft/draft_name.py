"""Name the draft model of a model. No torch: its files are fetched before a run has the device."""

from __future__ import annotations

import os

from kvdemo.models.names import catalog

AUTO = "auto"
# The operator of the app may name a draft model, also a folder: "auto" then means that one.
VARIABLE = "KVDEMO_DRAFT_MODEL"
# Models of the catalogue that have a smaller one of their family there.
_SMALLER = {
    "HuggingFaceTB/SmolLM2-360M-Instruct": catalog.DEFAULT,
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": catalog.DEFAULT,
    "openai-community/gpt2-medium": "openai-community/gpt2",
}


def name_for(model_id: str, asked: str) -> str | None:
    """Choose what to load as the draft model; None where "auto" finds none."""
    if asked != AUTO:
        return asked
    return os.environ.get(VARIABLE) or _SMALLER.get(model_id)
