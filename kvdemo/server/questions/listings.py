"""List strategies and samplers as the page, the API and the command line show them."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from kvdemo import samplers, strategies
from kvdemo.core.types import Option

if TYPE_CHECKING:
    from kvdemo.models.loaded import LoadedModel


def list_strategies(model: LoadedModel | None = None) -> list[dict[str, Any]]:
    """List each strategy as the page and the command line show it, with the reason where a model cannot run it.

    That is tried on the model if need be (`Strategy.unavailable_reason`), so whoever asks has the device.
    """
    listed = []
    for introduction in strategies.introductions().values():
        reason = strategies.unavailable_reason(introduction, model) if model else None
        options = {name: asdict(one) | {"choices": one.offered} for name, one in introduction.options.items()}
        listed.append(asdict(introduction) | {"options": options, "available": reason is None, "reason": reason})
    return listed


def list_samplers() -> list[dict[str, Any]]:
    """List the rules by which a lane may choose, as the page and the API show them, in the order of their application.

    The seed, which a lane may be given beside them, is the last entry.
    """
    rows: list[dict[str, Any]] = [
        {
            "id": one.id, "name": one.name, "summary": one.summary, "description": one.description,
            "greedy_too": one.greedy_too, "options": {name: _shown(option) for name, option in one.options.items()},
        }
        for one in samplers.introductions().values()
    ]  # fmt: skip
    seed = _shown(samplers.options()[samplers.SEED]) | {"about": "A whole number from which the draws follow."}
    about = "Lanes that have the same seed and the same rules draw the same tokens."
    return [*rows, {
        "id": samplers.SEED, "name": seed["label"], "summary": about, "description": about, "greedy_too": False,
        "options": {samplers.SEED: seed},
    }]  # fmt: skip


def _shown(option: Option) -> dict[str, Any]:
    """Show an option of a lane; of one that is a race's setting too, only what all options have."""
    about = option.about[:1].upper() + option.about[1:].rstrip(".") + "."
    return {one.name: getattr(option, one.name) for one in fields(Option)} | {"about": about}
