"""Decode several rows in each step, as a server does with requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

import torch

from kvdemo.core.figures import units
from kvdemo.core.picture import Picture
from kvdemo.core.types import Pass, Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import fitting_cache
from kvdemo.models.network.forward import Ids, forward, on_device
from kvdemo.strategies.base import Job, Strategy, option
from kvdemo.strategies.compatibility import cache_support
from kvdemo.strategies.longrope import Reading


class Batched(Strategy):
    """Runs the same prompt in b rows through one cache; the first row's text is shown.

    To write a token the model reads all of its weights from memory, for one row as for many; each further row adds
    arithmetic, and the reading of its own keys and values. While the weights take most of the time, b rows take little
    longer than one: each user waits somewhat longer, and all together get far more tokens a second. That is why
    servers batch. It stops paying where arithmetic is the limit: with some rows on a CPU, with hundreds on a GPU, and
    in the prefill at once. The cache takes b times the memory. Every row goes on with the first row's token, drawn or
    not, which is the one that DynamicCache writes. Other texts would cost the same, except in mixtures of experts:
    equal rows ask for equal experts, which is their best case.
    """

    id = "batched"
    name = "Batched"
    summary = "Decodes several rows in one pass: each waits longer, all together get more."
    lossless = True
    picture = Picture(computes="new", keeps="all")
    rows_from = "rows"

    rows: int = option(4, "Rows", "Copies of the prompt that are decoded together.", low=1, high=256)

    def unavailable_reason(self, model: LoadedModel) -> str | None:
        return cache_support.reason_of(self, model)

    @torch.inference_mode()
    def decode(self, job: Job) -> Iterator[Step]:
        cache = fitting_cache.dynamic_cache(job.model.network)
        new_ids: Ids = job.encode("")
        context, reading = 0, Reading(job.model)
        while True:
            context += len(new_ids)
            if (text := reading.start_over(new_ids)) is not None:
                new_ids, cache = text, fitting_cache.dynamic_cache(job.model.network)
            batch = on_device(job.model, new_ids).repeat(self.rows, 1)
            choice = job.choose(forward(job.model, batch, cache)[0, -1])
            yield Step(
                (choice,),
                batch.numel(),
                cache=cache,
                details={"rows": self.rows, **reading.details},
                passes=(Pass(self.rows, len(new_ids), context),),
            )
            new_ids = choice.ids

    def remarks(self, steps: Sequence[TimedStep]) -> list[str]:
        if len(steps) < 2:
            return []
        step = median(timed.seconds for timed in steps[1:])
        if step <= 0:
            return []
        return [
            f"{self.info.name}: a row waited {units.seconds(step)} for a token, which is {units.figures(1 / step)} "
            f"tokens/s, and {units.count(self.rows, 'row')} together made {units.figures(self.rows / step)} tokens/s "
            f"(median step after the prompt). One row alone must take less than {units.seconds(step / self.rows)} a "
            "token to make as many."
        ]
