"""Prefix cache: keys and values outlive the request, for the next prompt that begins the same."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

import torch
from transformers import DynamicCache

from kvdemo import words
from kvdemo.core import Step, TimedStep
from kvdemo.models import legacy
from kvdemo.models.loaded import LoadedModel
from kvdemo.prefixes import Kept
from kvdemo.strategies import _cached
from kvdemo.strategies._decode import Ids, cache_bytes, next_token_logits
from kvdemo.strategies.base import Job, Strategy

# Kinds of rotary positions whose angles change with the length of the text.
_STRETCHING = ("dynamic", "longrope")


class PrefixCached(Strategy):
    """DynamicCache whose keys and values are kept when a race is over: the next prompt skips what it has in common.

    Attention looks back only, so the keys and values of a beginning do not depend on what follows it: those of the
    prompt's first R tokens are cut out of what was kept, and the model runs the others, the last token at least,
    because what comes next is read off it. So the first token comes sooner; later steps cost what they always do.
    Conversations, one document with many questions and long system prompts begin alike each time. Servers do this for
    all requests: vLLM finds blocks of equal tokens by their hash (docs.vllm.ai, Automatic Prefix Caching), SGLang keeps
    a tree of them (RadixAttention, Zheng et al. 2023, arXiv:2312.07104).

    It has two prices. Memory stays taken between requests. And a first token that comes early tells that somebody had
    sent the same beginning before, so a cache that strangers share gives their prompts away (Gu et al. 2025,
    arXiv:2502.07776). Here each page has its own: it holds the latest run, and goes when the page is closed.
    Measurements and the API keep nothing.
    """

    id = "prefix_cache"
    name = "Prefix cache"
    summary = "Keeps keys and values for the next prompt that begins the same."
    lossless = True

    def unavailable_reason(self, model: LoadedModel) -> str | None:
        if os.environ.get("SPACES_ZERO_GPU"):
            return "ZeroGPU lends a GPU for one race at a time, and what that leaves in its memory is gone with it."
        if getattr(model.network, "_is_stateful", False):
            return "it has states that hold all of a text at once, of which a beginning cannot be cut out."
        if kinds := sorted(set(_rope_kinds(model)) & set(_STRETCHING)):
            return (
                f"its rotary positions ({kinds[0]}) change with the text's length, and with them the keys to be kept."
            )
        return _cached.unavailable_reason(model) or legacy.unavailable_reason(model)

    @torch.inference_mode()
    def decode(self, job: Job) -> Iterator[Step]:
        ids = job.encode("")
        found = job.handover.found if job.handover else None
        reused = min(found.common(ids), len(ids) - 1) if found else 0
        cache = _beginning(found, reused) if found and reused else DynamicCache(config=job.model.network.config)
        details: Mapping[str, float] = _details(found, reused) if job.handover else {}
        held, new = ids[:reused], ids[reused:]
        new_ids: Ids = new
        while True:
            choice = job.choose(next_token_logits(job.model, new_ids, cache))
            held += new
            if job.handover:
                job.handover.ids, job.handover.cache = held, cache
            yield Step((choice,), positions=len(new_ids), cache_bytes=cache_bytes(cache), details=details)
            new, new_ids, details = [choice.token], choice.ids, {}

    def remarks(self, steps: Sequence[TimedStep]) -> list[str]:
        first, name = steps[0], self.info.name
        details, ran = first.step.details, first.step.positions
        if not details:
            return [
                f"{name} ran {_all_of(ran)}, as DynamicCache does: nothing is kept between the runs of a "
                "measurement or of the API, nor on the command line without --cache-file."
            ]
        reused, kept = int(details["reused"]), int(details["kept"])
        if not kept:
            return [f"{name} found nothing kept, so it ran {_all_of(ran)}."]
        if not reused:
            return [
                f"{name} found {words.count(kept, 'position')} kept of a text that begins otherwise, so it ran "
                f"{_all_of(ran)}."
            ]
        told = f"{name} reused {reused:,} of {reused + ran:,} prompt tokens and ran {ran:,}"
        return [f"{told}: {_against(first.seconds, details)}." if "ttft_before" in details else f"{told}."]


def _rope_kinds(model: LoadedModel) -> Iterator[str]:
    """The kinds of rotary positions that the configuration names, for all layers or by kind of layer."""
    parameters = getattr(model.config, "rope_parameters", None) or {}
    for part in (parameters, *parameters.values()):
        if isinstance(part, Mapping) and "rope_type" in part:
            yield str(part["rope_type"])


def _beginning(kept: Kept, positions: int) -> DynamicCache:
    """A cache of the first positions of what was kept, in tensors of its own: nothing longer stays alive through it."""
    return DynamicCache(tuple((keys[:, :, :positions], values[:, :, :positions]) for keys, values in kept.pairs))


def _details(found: Kept | None, reused: int) -> dict[str, float]:
    """What the first step says of the shelf: positions kept on it, tokens reused, and how the run before went."""
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
        f"its first token came after {words.seconds(seconds)}, and after "
        f"{words.seconds(details['ttft_before'])} in the run before, which ran {work}"
    )
