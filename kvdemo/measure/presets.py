"""List the presets of the measuring form."""

from __future__ import annotations

from typing import Any

CLASSIC_MODEL = "openai-community/gpt2"


def list_presets(default_model: str) -> list[dict[str, Any]]:
    """List each preset as id, label, why, and its form. Settings that the form leaves out have their defaults."""
    plain = {"prompt": "What is KV caching?", "chat": False, "model": default_model}
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
