"""Keep keys and values in main memory until their layer is due (OffloadedCache)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from transformers import Cache

from kvdemo.core.figures import units
from kvdemo.core.picture import Picture
from kvdemo.core.types import Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import cache_layers, fitting_cache
from kvdemo.models.network.forward import Ids, next_token_logits
from kvdemo.strategies.base import Job, Strategy
from kvdemo.strategies.compatibility import cache_support
from kvdemo.strategies.longrope import Reading


class Offloaded(Strategy):
    """Keeps the cache in the computer's main memory; the GPU holds the layer at work and the one that comes next.

    While a layer computes, the next one's keys and values are fetched over the bus; when it is done, its own go
    back. GPU memory then hardly grows with the text, and the answer is the same as ever. The price is the bus: the
    whole cache crosses it both ways at each step, at a tenth to a hundredth of the GPU's memory bandwidth. It wins
    where a long text would not fit at all, and loses wherever it would.
    """

    id = "offloaded_cache"
    name = "Offloaded cache"
    summary = "Keeps keys and values in main memory and fetches them layer by layer (CUDA)."
    lossless = True
    picture = Picture(computes="new", keeps="host")
    formula_note = "The cache on the GPU and in main memory together."

    def unavailable_reason(self, model: LoadedModel) -> str | None:
        if model.device.type != "cuda":
            return f"it moves the cache between a CUDA GPU and main memory, and the model is on {model.device.type}."
        return cache_support.reason_of(self, model)

    @torch.inference_mode()
    def decode(self, job: Job) -> Iterator[Step]:
        cache = fitting_cache.dynamic_cache(job.model.network, offloading=True)
        new_ids: Ids = job.encode("")
        reading = Reading(job.model)
        while True:
            if (text := reading.start_over(new_ids)) is not None:
                new_ids, cache = text, fitting_cache.dynamic_cache(job.model.network, offloading=True)
            choice = job.choose(next_token_logits(job.model, new_ids, cache))
            device, host = split(cache)
            details = {"device_bytes": device, "host_bytes": host} | reading.details
            yield Step((choice,), positions=len(new_ids), cache_bytes=device + host, details=details)
            new_ids = choice.ids

    def remarks(self, steps: Sequence[TimedStep]) -> list[str]:
        device, host = (steps[-1].step.details[name] for name in ("device_bytes", "host_bytes"))
        return [
            f"{self.info.name} held {units.amount(device, 'B')} of its cache on the GPU between two steps and "
            f"{units.amount(host, 'B')} in main memory."
        ]


def split(cache: Cache) -> tuple[int, int]:
    """Count the bytes that a cache holds on its device, and those in main memory."""
    held = [tensor for layer in cache.layers for tensor in cache_layers.layer_tensors(layer)]
    host = sum(tensor.nbytes for tensor in held if tensor.device.type == "cpu")
    return sum(tensor.nbytes for tensor in held) - host, host
