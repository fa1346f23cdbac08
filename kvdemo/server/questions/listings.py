"""List strategies and samplers as the page, the API and the command line show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from kvdemo import samplers, strategies
from kvdemo.core.types import Option

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from kvdemo.models.loaded import LoadedModel


#: Why a model cannot run some strategies, and how much had been tried on it when that was asked.
_known: WeakKeyDictionary[PreTrainedModel, tuple[int, dict[str, str]]] = WeakKeyDictionary()


def list_strategies(reasons: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """List each strategy as the page and the command line show it. `reasons` says by id which ones cannot run."""
    listed = []
    for introduction in strategies.introductions().values():
        reason = (reasons or {}).get(introduction.id)
        options = {name: asdict(one) | {"choices": one.offered} for name, one in introduction.options.items()}
        listed.append(asdict(introduction) | {"options": options, "available": reason is None, "reason": reason})
    return listed


def find_reasons(model: LoadedModel) -> dict[str, str]:
    """Say by id why some strategies cannot run on a model.

    That is tried on the model if need be (`Strategy.unavailable_reason`), so whoever asks has the device.
    """
    found = {one.id: strategies.unavailable_reason(one, model) for one in strategies.introductions().values()}
    return {strategy_id: reason for strategy_id, reason in found.items() if reason is not None}


def known_reasons(model: LoadedModel) -> dict[str, str]:
    """Say what `find_reasons` does, as far as it was tried. Whoever asks need not have the device.

    It is worked out once, until more has been tried: every page asks, and somebody's steps may be timed.
    """
    from kvdemo.strategies.compatibility import trial  # noqa: PLC0415 - torch is imported with a model

    tried = trial.count(model)
    known = _known.get(model.network)
    if known is None or known[0] != tried:
        with trial.known_only():
            known = _known[model.network] = (tried, find_reasons(model))
    return known[1]


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
