"""Keep the first positions (attention sinks) and the latest ones, and drop the others (sliding window)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

import torch
from transformers.cache_utils import get_layer_types_and_kwargs

from kvdemo.caches.sink_cache import SinkCache
from kvdemo.core.figures import units
from kvdemo.core.picture import Picture
from kvdemo.core.types import Pass, Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.forward import Ids, next_token_logits
from kvdemo.strategies.base import Job, Strategy, option
from kvdemo.strategies.compatibility import cache_support, movable_keys, trial


class SlidingWindow(Strategy):
    """Keeps the first few positions, called sinks, and a window of the latest ones; what lies between is dropped.

    Memory and the time of a step stay constant however long the text gets: that is the gain. The price is that the
    model forgets, except for what the window's own values still carry of it. The sinks are no memory: softmax must
    put its weight somewhere, models learn to put it on the first tokens, and without them the text falls apart (try
    sinks 0; Xiao et al. 2023, StreamingLLM, arXiv:2309.17453).
    Precisely: the prompt is read once with all of it visible, then cut; each new token sees the sinks and the latest
    positions with itself. Keys and values stay as they were computed, when older tokens may have been visible, and
    positions count inside the cache: the sinks are moved (their keys turned) to lie right before the window.
    While everything fits, it is full attention.
    """

    id = "sliding_window"
    name = "Sliding window"
    summary = "Keeps the first positions and the latest ones: constant memory, and it forgets the rest."
    lossless = False
    picture = Picture(computes="new", keeps="window", window="window", sinks="sinks")
    formula_note = "A cache of all positions, of which none is dropped."

    window: int = option(256, "Window", "Latest positions kept, the newest included.", low=1, high=100000)
    sinks: int = option(4, "Sinks", "First positions kept for good.", low=0, high=64)

    def unavailable_reason(self, model: LoadedModel) -> str | None:
        if set(get_layer_types_and_kwargs(model.config)[0]) != {"full_attention"}:
            return "its layers have windows or states of their own, so another window would not be what they learnt."
        if reason := movable_keys.unavailable_reason(model) or cache_support.unavailable_reason(model):
            return reason
        whole = SlidingWindow()  # drops nothing in a trial, so that the text is known
        return trial.reason(model, self.id, whole.decode, instead="DynamicCache")

    def kept(self, positions: int) -> int:
        return min(positions, self.sinks + self.window)

    @torch.inference_mode()
    def decode(self, job: Job) -> Iterator[Step]:
        cache = SinkCache(job.model, self.sinks, self.window)
        new_ids: Ids = job.encode("")
        while True:
            cache.move_sinks()
            choice = job.choose(next_token_logits(job.model, new_ids, cache))
            details = {"kept": cache.held, "dropped": cache.seen - cache.held, "exact_bytes": cache.exact_bytes}
            ran = Pass(1, len(new_ids), max(cache.held, len(new_ids)))  # a prompt's queries see all of it
            yield Step((choice,), positions=len(new_ids), cache_bytes=cache.bytes, details=details, passes=(ran,))
            new_ids = choice.ids

    def remarks(self, steps: Sequence[TimedStep]) -> list[str]:
        last = steps[-1].step
        kept, dropped = (int(last.details[name]) for name in ("kept", "dropped"))
        if not dropped:
            return [
                f"All {units.count(kept, 'position')} fitted into {self.info.name} ({self.sinks + self.window:,}): "
                "nothing was forgotten, so this was full attention."
            ]
        found = [
            f"{self.info.name} kept {units.count(kept, 'position')} in {units.amount(last.cache_bytes, 'B')} and "
            f"dropped {dropped:,}; a cache of all of them holds {units.amount(last.details['exact_bytes'], 'B')} "
            "(by formula)."
        ]
        full = [timed.seconds for timed in steps[1:] if timed.step.details["dropped"]]
        if len(full) >= 16:
            early, late = full[: len(full) // 2], full[len(full) // 2 :]
            found.append(
                f"Once it was full, a step took {units.seconds(median(early))} in the first half of the run and "
                f"{units.seconds(median(late))} in the second (median)."
            )
        return found
