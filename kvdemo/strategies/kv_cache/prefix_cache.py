"""Keep keys and values after the race, for the next prompt that begins the same."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from transformers import DynamicCache

from kvdemo.caches import legacy_format
from kvdemo.caches.prefix_store import PrefixEntry, PrefixSlot
from kvdemo.core.figures import units
from kvdemo.core.picture import Picture
from kvdemo.core.types import Step, TimedStep
from kvdemo.models.facts import rope
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import fitting_cache
from kvdemo.models.network.forward import Ids, cache_bytes, next_token_logits
from kvdemo.samplers import Rule
from kvdemo.strategies.base import Job, Strategy
from kvdemo.strategies.chooser import Chooser
from kvdemo.strategies.compatibility import cache_support, trial


class PrefixCached(Strategy):
    """DynamicCache whose keys and values are kept when a race is over: the next prompt skips what it has in common.

    Attention looks back only, so the keys and values of a beginning do not depend on what follows it: those of the
    prompt's first R tokens are cut out of what was kept, and the model runs the others, the last token at least,
    because what comes next is read off it. So the first token comes sooner; later steps cost what they always do.
    Conversations, one document with many questions and long system prompts begin alike each time. Servers do this for
    all requests: vLLM finds blocks of equal tokens by their hash (docs.vllm.ai, Automatic Prefix Caching), SGLang keeps
    a tree of them (RadixAttention, Zheng et al. 2023, arXiv:2312.07104).

    It has two prices. Memory stays taken between requests. Here it is main memory, and a GPU copies what it reuses back
    within the time to first token; layers with a window keep all of their positions, or no beginning could be cut out.
    And a first token that comes early tells that somebody had sent the same beginning before, so a cache that strangers
    share gives their prompts away (Gu et al. 2025, arXiv:2502.07776). Here each page has its own: it holds the latest
    run, and goes when the page is closed. Measurements and the API keep nothing.
    """

    id = "prefix_cache"
    name = "Prefix cache"
    summary = "Keeps keys and values for the next prompt that begins the same."
    lossless = True
    keeps_prefix = True
    picture = Picture(computes="new", keeps="all")

    def unavailable_reason(self, model: LoadedModel) -> str | None:
        if os.environ.get("SPACES_ZERO_GPU"):
            return "ZeroGPU lends a GPU for one race at a time, and what that leaves in its memory is gone with it."
        if getattr(model.network, "_is_stateful", False):
            return "it has states that hold all of a text at once, of which a beginning cannot be cut out."
        if rope.switch_lengths(model.config):
            return "its rotary positions (longrope) change with the text's length, and with them the keys to be kept."
        if reason := legacy_format.unavailable_reason(model) or cache_support.unavailable_reason(model):
            return reason
        return trial.reason(model, self.id, _resumed, instead="DynamicCache")

    @torch.inference_mode()
    def decode(self, job: Job) -> Iterator[Step]:
        ids = job.encode("")
        found = job.handover.found if job.handover else None
        reused = min(found.common(ids), len(ids) - 1) if found else 0
        details = _details(found, reused) if job.handover else {}
        cache = legacy_format.recording(job.model) if job.handover else fitting_cache.dynamic_cache(job.model.network)
        if found and reused:
            beginning = tuple((keys[:, :, :reused], values[:, :, :reused]) for keys, values in found.pairs)
            legacy_format.fill(cache, legacy_format.on(beginning, job.model.device))
            details |= {"copied_bytes": cache_bytes(cache)} if job.model.device.type != "cpu" else {}
        held, new = ids[:reused], ids[reused:]
        new_ids: Ids = new
        while True:
            choice = job.choose(next_token_logits(job.model, new_ids, cache))
            held += new
            if job.handover:
                job.handover.ids, job.handover.cache = held, cache
            details |= {"beyond_windows_bytes": beyond} if (beyond := _beyond_windows(cache)) else {}
            yield Step((choice,), positions=len(new_ids), cache=cache, details=details)
            new, new_ids, details = [choice.token], choice.ids, {}

    def remarks(self, steps: Sequence[TimedStep]) -> list[str]:
        return [self._reuse(steps[0]), *self._windows(steps[-1])]

    def _reuse(self, first: TimedStep) -> str:
        details, ran, name = first.step.details, first.step.positions, self.info.name
        if "kept" not in details:
            return (
                f"{name} ran {_all_of(ran)}, as DynamicCache does: nothing is kept between the runs of a "
                "measurement or of the API, nor on the command line without --cache-file."
            )
        reused, kept = int(details["reused"]), int(details["kept"])
        if not kept:
            return f"{name} found nothing kept, so it ran {_all_of(ran)}."
        if not reused:
            return (
                f"{name} found {units.count(kept, 'position')} kept of a text that begins otherwise, so it ran "
                f"{_all_of(ran)}."
            )
        found = f"{name} reused {reused:,} of {reused + ran:,} prompt tokens and ran {ran:,}"
        if "copied_bytes" in details:
            found += f", after copying {units.amount(details['copied_bytes'], 'B')} from main memory to the GPU"
        return f"{found}: {_against(first.seconds, details)}." if "ttft_before" in details else f"{found}."

    def _windows(self, last: TimedStep) -> list[str]:
        beyond = last.step.details.get("beyond_windows_bytes")
        if not beyond:
            return []
        return [
            f"{self.info.name} kept all positions of layers with a window too, so that a beginning can be cut out: "
            f"{units.amount(beyond, 'B')} more than DynamicCache holds."
        ]


def _beyond_windows(cache: DynamicCache) -> int:
    """Count the bytes of positions that layers with a window hold and do not look at any more."""
    found = 0
    for layer in cache.layers:
        if (window := getattr(layer, "sliding_window", None)) and layer.keys is not None:
            held = layer.keys.shape[-2]
            found += (layer.keys.nbytes + layer.values.nbytes) // held * max(held - window + 1, 0)
    return found


def _resumed(job: Job) -> Iterator[Step]:
    """Try a run that resumes from the beginning of another text."""
    ids = job.encode("")
    other, left = [*ids[: -(-len(ids) // 2)], *ids[:1]][: len(ids)], PrefixSlot()
    plain = Chooser(Rule(), job.model.device)
    next(PrefixCached().decode(replace(job, encode=lambda _: list(other), choose=plain, handover=left)))
    if left.cache is None:
        raise TypeError("a run must leave its cache")
    kept = PrefixEntry(tuple(left.ids), legacy_format.to_legacy(left.cache))
    yield from PrefixCached().decode(replace(job, handover=PrefixSlot(kept)))


def _details(found: PrefixEntry | None, reused: int) -> dict[str, float]:
    """State what the first step says of the shelf: positions kept on it, tokens reused, and how the run before went."""
    details: dict[str, float] = {"kept": len(found.ids) if found else 0, "reused": reused}
    if found and found.run:
        run = found.run
        details |= {"ttft_before": run.ttft_s, "prompt_before": run.prompt_tokens, "reused_before": run.reused}
    return details


def _all_of(tokens: int) -> str:
    return "the prompt's one token" if tokens == 1 else f"all {tokens:,} prompt tokens"


def _against(seconds: float, details: Mapping[str, float]) -> str:
    """Time to first token here and in the run before, which may have had another prompt and reused some of it, too."""
    prompt, reused = int(details["prompt_before"]), int(details["reused_before"])
    work = f"{prompt - reused:,} of its {prompt:,} prompt tokens" if reused else f"all {prompt:,} of its prompt tokens"
    return (
        f"its first token came after {units.seconds(seconds)}, and after "
        f"{units.seconds(details['ttft_before'])} in the run before, which ran {work}"
    )
