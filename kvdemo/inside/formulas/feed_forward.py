"""Write what a position costs in one feed-forward network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from kvdemo.inside.terms import Term
from kvdemo.models.facts import step_weights
from kvdemo.models.loaded import LoadedModel


def of_feed_forward(model: LoadedModel) -> dict[str, Any]:
    """State what a position costs in one feed-forward network; without numbers where the model has no plain one."""
    shared = {"name": "Feed-forward of one position", "formula": "W_2 · act(W_1 · x_t)", "unit": "FLOPs"}
    found = _plain_feed_forward(step_weights.text_modules(model.network, model.id))
    if found is None:
        return shared | {
            "numbers": "",
            "terms": [],
            "about": f"{model.id} has no plain feed-forward network whose weights could be counted: each position may "
            "be sent to a few of several experts.",
        }
    shapes = [tuple(weight.shape) for weight in found.parameters() if weight.ndim == 2]
    written = " + ".join(f"{rows:,} · {columns:,}" for rows, columns in shapes)
    return shared | {
        "numbers": f"b · 2 · ({written})",
        "terms": [Term(2 * sum(rows * columns for rows, columns in shapes), 1, 0)],
        "about": f"It looks at the new position alone, so no past is needed ({type(found).__name__}, one layer).",
    }


def _plain_feed_forward(modules: Sequence[nn.Module]) -> nn.Module | None:
    """Find a feed-forward network by the name of its class, if no layer among the modules has experts."""
    if any("Expert" in type(module).__name__ or "Moe" in type(module).__name__ for module in modules):
        return None
    named = [module for module in modules if type(module).__name__.endswith("MLP")]
    return next((module for module in named if any(weight.ndim == 2 for weight in module.parameters())), None)
