"""Tell whether a strategy can run with a cache on a model, beginning with a DynamicCache."""

from __future__ import annotations

from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.base import Strategy
from kvdemo.strategies.compatibility import trial
from kvdemo.strategies.kv_cache.dynamic_cache import DynamicCached


def unavailable_reason(model: LoadedModel) -> str | None:
    """Say why this model cannot go on from a cache that it is handed; None if it can. Tried with a DynamicCache."""
    return DynamicCached().unavailable_reason(model)


def reason_of(strategy: Strategy, model: LoadedModel) -> str | None:
    """Say why a strategy cannot run on this model with a cache; None if it can.

    It is tried with its default settings: what runs with a few rows runs with any number of them.
    """
    return unavailable_reason(model) or trial.reason(
        model, strategy.id, type(strategy)().decode, instead=DynamicCached.name
    )
