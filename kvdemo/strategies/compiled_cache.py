"""Compiled decoding: the step's kernels are fused and, on a GPU, launched as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from kvdemo import words
from kvdemo.core import Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies import _compiled
from kvdemo.strategies._decode import next_token_logits
from kvdemo.strategies._reserved import Reserved
from kvdemo.strategies.base import Job, Strategy


class CompiledCached(Strategy):
    """StaticCache, and the decoding step compiled by torch.compile; on CUDA it is replayed as one CUDA graph.

    At batch 1 a step is hundreds of small kernels. Python has to launch each, and a large GPU is done with one before
    the next arrives. Compiling fuses kernels, and a CUDA graph launches all of them at once: what is left is the
    reading of the weights. That needs shapes that never change, hence the cache of fixed size. The prompt runs
    uncompiled. The price is the compilation, from seconds to minutes, once for each model and size of the cache
    (powers of two): it is done before the clock runs and told apart. It wins long answers and many of them; on a
    CPU, where launching is cheap, it gains less.
    """

    id = "compiled_cache"
    name = "Compiled"
    summary = "StaticCache with the decoding step compiled; CUDA graphs on a GPU."
    lossless = True
    counts_launches = False
    formula_note = "The part of the reserved room that is in use."

    def unavailable_reason(self, model: LoadedModel) -> str | None:
        return _compiled.unavailable_reason(model)

    @torch.inference_mode()
    def decode(self, job: Job) -> Iterator[Step]:
        compiled = _compiled.of(job.model)
        new_ids = job.encode("")
        size = _compiled.size_for(len(new_ids) + job.max_new_tokens, job.model.context_length)
        cache, compiled_now = _compiled.borrow(compiled, job.model, size)
        try:
            choice = job.choose(next_token_logits(job.model, new_ids, cache))
            reserved, held = Reserved(cache), 0
            details = {"compile_seconds": compiled.seconds[size], "compiled_in_this_step": float(compiled_now)}
            while True:
                held += len(new_ids)
                details |= {"bytes_reserved": reserved.bytes, "bytes_used": reserved.used(held)}
                yield Step((choice,), positions=len(new_ids), cache_bytes=reserved.bytes, details=dict(details))
                new_ids, details["compiled_in_this_step"] = [choice.token], 0.0
                token = torch.tensor([new_ids], device=job.model.device)
                choice = job.choose(_compiled.run(compiled, token, cache).float())
        finally:
            compiled.spare = cache

    def remarks(self, steps: Sequence[TimedStep]) -> list[str]:
        first = steps[0].step.details
        if not first["compile_seconds"]:
            return [f"{self.info.name} found its step compiled already, for a model of the same shape."]
        spent = words.seconds(first["compile_seconds"])
        if first["compiled_in_this_step"]:
            return [f"{self.info.name} spent {spent} on compiling; it is part of its first step, not of decoding."]
        return [f"Compiling {self.info.name}'s step took {spent}, before the clock ran: it is in none of these times."]
