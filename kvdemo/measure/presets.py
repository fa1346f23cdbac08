"""Measurements worth one click."""

from __future__ import annotations

from typing import Any

from kvdemo.core.measure_settings import DEFAULT_LANES

CLASSIC_MODEL = "openai-community/gpt2"


def list_presets(default_model: str) -> list[dict[str, Any]]:
    """Each as id, label, why, and the form that it fills; the first is the default."""
    plain = {
        "prompt": "What is KV caching?", "strategies": list(DEFAULT_LANES), "chat": False, "temperature": 0.0,
        "top_p": 1.0, "seed": 0, "warmup": 1, "sweep_prompt": "", "sweep_tokens": "", "model": default_model,
    }  # fmt: skip
    return [
        {
            "id": "quick",
            "label": "Quick",
            "why": "64 tokens, three repeats: a first figure within a minute or two.",
            "form": plain | {"preset": "quick", "max_new_tokens": 64, "repeats": 3},
        },
        {
            "id": "classic",
            "label": "Classic table",
            "why": "The table of most articles: GPT-2, 1,000 tokens, ten repeats, with and without a cache.",
            "form": plain | {"preset": "classic", "model": CLASSIC_MODEL, "max_new_tokens": 1000, "repeats": 10},
        },
        {
            "id": "sweep",
            "label": "Break-even",
            "why": "Prompt lengths against token counts: where the cache wins, and by how much.",
            "form": plain
            | {"preset": "sweep", "max_new_tokens": 32, "repeats": 1}
            | {"sweep_prompt": "16,64,256", "sweep_tokens": "8,32,128"},
        },
    ]
