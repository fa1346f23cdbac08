"""Tell whether a model can go on from a cache of transformers, and if not, why.

A cache is passed to the model with each pass, and some models ignore or misread it. Nothing is raised then: they write
a text that has little to do with the prompt. So it is tried before the first token (`tryout`).
"""

from __future__ import annotations

from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import cache_argument
from kvdemo.strategies.base import Strategy
from kvdemo.strategies.compatibility import tryout
from kvdemo.strategies.recompute.no_cache import NoCache


def unavailable_reason(model: LoadedModel) -> str | None:
    """Say why this model cannot go on from a cache that it is handed; None if it can. Tried with a DynamicCache."""
    from kvdemo.strategies.kv_cache.dynamic_cache import DynamicCached  # noqa: PLC0415 - it asks here whether it can run

    if not cache_argument.takes_cache(model.network):
        return f"it takes no cache of transformers, and keeps what it has seen in a form of its own: use {NoCache.id}."
    return tryout.reason(model, DynamicCached.id, DynamicCached().decode, instead=NoCache.id)


def reason_of(strategy: Strategy, model: LoadedModel) -> str | None:
    """Say why a strategy cannot run on this model with a cache; None if it can.

    It is tried with its default settings: what runs with a few rows runs with any number of them.
    """
    return unavailable_reason(model) or tryout.reason(
        model, strategy.id, type(strategy)().decode, instead="DynamicCache"
    )
