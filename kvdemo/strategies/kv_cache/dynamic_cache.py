"""Prefill once, then run one position a step (DynamicCache)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from transformers import DynamicCache

from kvdemo.core.picture import Picture
from kvdemo.core.types import Step
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.fitting_cache import fitted
from kvdemo.models.network.forward import Ids, next_token_logits
from kvdemo.strategies.base import Job, Strategy
from kvdemo.strategies.compatibility import cache_trial
from kvdemo.strategies.longrope import Reading


class DynamicCached(Strategy):
    """The prompt goes through the model once (prefill); each later step runs only the newest token.

    Every layer appends the new position's key and value to those it holds, and the new query attends to all
    of them. A past query is never needed again, so it is not kept. n tokens after a prompt of P cost
    P + n - 1 positions. The price is memory: 2 · layers · kv_heads · head_dim · bytes for each position.
    """

    id = "dynamic_cache"
    name = "DynamicCache"
    summary = "Runs the prompt once, keeps its keys and values, then one token a step."
    lossless = True
    picture = Picture(computes="new", keeps="all")

    def unavailable_reason(self, model: LoadedModel) -> str | None:
        return cache_trial.reason(self, model)

    @torch.inference_mode()
    def decode(self, job: Job) -> Iterator[Step]:
        network = job.model.network
        cache = fitted(DynamicCache(config=network.config), network)
        new_ids: Ids = job.encode("")
        reading = Reading(job.model)
        while True:
            if (text := reading.start_over(new_ids)) is not None:
                new_ids, cache = text, fitted(DynamicCache(config=network.config), network)
            choice = job.choose(next_token_logits(job.model, new_ids, cache))
            yield Step((choice,), positions=len(new_ids), cache=cache, details=reading.details)
            new_ids = choice.ids
