"""Try whether a model can go on from a cache of transformers that it is handed with each pass.

Some models ignore or misread it. Nothing is raised then: they write a text that has little to do with the prompt. So it
is tried before the first token (`trial`).
"""

from __future__ import annotations

from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import cache_argument
from kvdemo.strategies.base import Strategy
from kvdemo.strategies.compatibility import trial
from kvdemo.strategies.recompute.no_cache import NoCache


def reason(strategy: Strategy, model: LoadedModel) -> str | None:
    """Say why this model cannot go on from the cache of a strategy, which is the plainest with one; None if it can."""
    if reason := trial.plain_pass_reason(model):
        return reason
    if not cache_argument.takes_cache(model.network):
        return f"it takes no cache of transformers, and keeps what it has seen in a form of its own: use {NoCache.id}."
    return trial.reason(model, strategy.id, type(strategy)().decode, instead=NoCache.id)
