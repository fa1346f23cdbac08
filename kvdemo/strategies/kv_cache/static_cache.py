"""Reserve room for the whole text before the first token (StaticCache)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

from kvdemo.caches.reserved_bytes import Reserved
from kvdemo.core.figures import units
from kvdemo.core.picture import Picture
from kvdemo.core.types import Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import fitting_cache
from kvdemo.models.network.forward import Ids, next_token_logits
from kvdemo.strategies.base import Job, Strategy
from kvdemo.strategies.compatibility import cache_support, trial
from kvdemo.strategies.longrope import Reading


class StaticCached(Strategy):
    """Reserves keys and values for the prompt and every token that may follow, and fills them in place.

    A growing cache is copied into a larger one at each step; this one never moves. Its shapes and addresses stay
    the same from step to step, which is what a compiler and CUDA graphs ask for: alone, it gains little. The price:
    the memory is taken from the start, for tokens that may never come, and each query looks at the empty places too,
    behind a mask. It wins as the ground of `compiled_cache`, and where memory must be promised ahead. Layers with a
    sliding window reserve no more than their window; states that do not grow are as large as ever.
    """

    id = "static_cache"
    name = "StaticCache"
    summary = "Reserves room for prompt and answer at the start and fills it in place."
    lossless = True
    picture = Picture(computes="new", keeps="reserved")
    formula_note = "The part of the reserved room that is in use."

    def unavailable_reason(self, model: LoadedModel) -> str | None:
        try:
            fitting_cache.static_cache(model.network, 1)
        except KeyError as kind:  # transformers' table of layers that can be reserved
            return f"transformers has no cache of fixed size for its layers of the kind {kind}: use DynamicCache."
        return cache_support.unavailable_reason(model) or trial.reason(
            model, self.id, self.decode, instead="DynamicCache"
        )

    @torch.inference_mode()
    def decode(self, job: Job) -> Iterator[Step]:
        new_ids: Ids = job.encode("")
        size = min(len(new_ids) + job.max_new_tokens, job.model.context_length or math.inf)
        cache = fitting_cache.static_cache(job.model.network, int(size))
        reserved: Reserved | None = None
        held, reading = 0, Reading(job.model)
        while True:
            held += len(new_ids)
            if (text := reading.start_over(new_ids)) is not None:
                new_ids = text
                cache.reset()
            choice = job.choose(next_token_logits(job.model, new_ids, cache))
            reserved = reserved or Reserved(cache)
            details = {"bytes_reserved": reserved.bytes, "bytes_used": reserved.used(held)} | reading.details
            yield Step((choice,), positions=len(new_ids), cache_bytes=reserved.bytes, details=details)
            new_ids = choice.ids

    def remarks(self, steps: Sequence[TimedStep]) -> list[str]:
        first, last = steps[0].step.details, steps[-1].step.details
        beside = last["bytes_reserved"] - first["bytes_reserved"]
        room, used = first["bytes_reserved"], last["bytes_used"] - beside
        grew = f" Beside it, tensors that have no reserved room grew by {units.amount(beside, 'B')}." if beside else ""
        return [
            f"{self.info.name} reserved {units.amount(room, 'B')} before its first token and used "
            f"{units.amount(used, 'B')} of it: {used / room:.0%}.{grew}"
        ]
