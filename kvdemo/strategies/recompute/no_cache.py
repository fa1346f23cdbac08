"""Keep token ids, and run all of them again for each token."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from kvdemo.core.picture import Picture
from kvdemo.core.types import Step
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.forward import next_token_logits, on_device
from kvdemo.strategies.base import Job, Strategy
from kvdemo.strategies.compatibility import trial


class NoCache(Strategy):
    """Each step runs the prompt and every token so far through the model, and keeps only the ids.

    What `generate(use_cache=False)` does. The keys and values of all past positions are computed again in
    every step, although they cannot have changed: in a causal model the past does not see the future.
    n tokens after a prompt of P cost n·P + n(n-1)/2 positions.
    """

    id = "no_cache"
    name = "No cache"
    summary = "Keeps the token ids and runs all of them through the model each step."
    lossless = True
    picture = Picture(computes="all", keeps="nothing")
    recomputes = True

    def unavailable_reason(self, model: LoadedModel) -> str | None:
        return trial.plain_pass_reason(model)

    @torch.inference_mode()
    def decode(self, job: Job) -> Iterator[Step]:
        ids = on_device(job.model, job.encode(""))
        while True:
            choice = job.choose(next_token_logits(job.model, ids))
            yield Step((choice,), positions=len(ids))
            ids = torch.cat((ids, choice.ids))
