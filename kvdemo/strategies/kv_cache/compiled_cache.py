"""Decode with a compiled step: its kernels are fused and, on a GPU, launched as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from kvdemo.caches.reserved_bytes import Reserved
from kvdemo.core.figures import units
from kvdemo.core.picture import Picture
from kvdemo.core.types import Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.forward import next_token_logits
from kvdemo.strategies.base import Beside, Job, Strategy
from kvdemo.strategies.kv_cache.compiling import compilable, compiled_step
from kvdemo.strategies.kv_cache.compiling.compiled_run import Run


class CompiledCached(Strategy):
    """StaticCache, and the decoding step compiled by torch.compile; on CUDA it is replayed as one CUDA graph.

    At batch 1 a step is hundreds of small kernels. Python has to launch each, and a large GPU is done with one before
    the next arrives. Compiling fuses kernels and tunes those that read the weights, and a CUDA graph launches all of
    them at once: what is left is the reading of the weights. The step also chooses the likeliest token, which stays on
    the device as the next input. On a CPU the weights are packed for products of one row, which takes as much memory
    again. A graph needs addresses that never change, hence the cache of fixed size, in multiples of 64 positions. The
    prompt runs uncompiled. The price is the compilation, from seconds to minutes, once for each model: it is done
    before the clock runs and reported separately, and most of it is kept for the next start (KVDEMO_CACHE_DIR). It
    wins long answers and many of them.
    """

    id = "compiled_cache"
    name = "Compiled"
    summary = "StaticCache with the decoding step compiled; CUDA graphs on a GPU."
    lossless = True
    picture = Picture(computes="new", keeps="reserved")
    eager = False
    formula_note = "The part of the reserved room that is in use."

    def unavailable_reason(self, model: LoadedModel) -> str | None:
        return compilable.unavailable_reason(model)

    def held_beside(self, model: LoadedModel) -> Beside:
        return Beside(compiled_step.bytes_to_pack(model), "packed weights")

    def decode(self, job: Job) -> Iterator[Step]:
        """Compile and record at once, before the first step is asked for; the steps follow."""
        lease = _Lease()
        positions = len(job.model.encode(job.prompt)) + job.max_new_tokens
        run = compiled_step.borrow_run(job.model, positions, lease, job.tell)
        return self._steps(job, run, lease)

    @torch.inference_mode()
    def _steps(self, job: Job, run: Run, lease: _Lease) -> Iterator[Step]:  # noqa: ARG002 - held meanwhile
        ids = job.encode("")
        compiled = compiled_step.compiled_for(job.model)
        choice = job.choose(next_token_logits(job.model, ids, run.cache))
        reserved, held, new = Reserved(run.cache), len(ids), len(ids)
        details = {
            "compile_seconds": compiled.seconds or 0.0,
            "compiled_in_this_step": 0.0,
            "packed_bytes": compiled.packed_bytes,
        }
        run.token.copy_(choice.ids.view(1, 1))
        while True:
            room = {"bytes_reserved": reserved.bytes, "bytes_used": reserved.used(held)}
            yield Step((choice,), positions=new, cache_bytes=reserved.bytes, details=details | room)
            logits = run()
            if job.choose.plain:
                choice = job.choose.on_host(run.token, logits)
            else:
                choice = job.choose(logits)
                run.token.copy_(choice.ids.view(1, 1))
            held, new = held + 1, 1

    def remarks(self, steps: Sequence[TimedStep]) -> list[str]:
        first = steps[0].step.details
        spent = units.seconds(first["compile_seconds"])
        found = [f"Compiling {self.info.name}'s step took {spent}, before the clock ran: it is in none of these times."]
        if packed := first["packed_bytes"]:
            held = units.amount(packed, "B")
            found.append(
                f"{self.info.name} holds the weights of its linear layers twice: {held} of them are packed for reading "
                "row by row."
            )
        return found


class _Lease:
    """Stands for a lane while it lives: its run is free again when nothing refers to this object any more."""
