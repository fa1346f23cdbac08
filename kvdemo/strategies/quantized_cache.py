"""QuantizedCache: the past is kept in fewer bits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import mean
from typing import Any

import torch
from transformers import QuantizedCache
from transformers.cache_utils import get_layer_types_and_kwargs
from transformers.utils import is_hqq_available, is_optimum_quanto_available

from kvdemo import words
from kvdemo.core import BadInput, Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.stop import StopSignal
from kvdemo.strategies import _cached, _exact, _held
from kvdemo.strategies._decode import Ids, next_token_logits
from kvdemo.strategies._longrope import Reading
from kvdemo.strategies.base import Job, Strategy, option

_BITS = {"int4": 4, "int2": 2}
# Numbers that share a scale, at most: what the two packages and transformers use by default.
_GROUP = 64


class Quantized(Strategy):
    """Keeps past keys and values in 8, 4 or 2 bits and turns them back into full numbers for each step.

    fp8 takes one scale a layer from the prompt and stores each new position right away; what is larger than all of
    the prompt is cut off. int4 and int2 keep a scale for every few numbers and hold the newest positions, up to 127,
    in full; the prompt is packed at once. It wins memory: a quarter of float32 or half of bfloat16 with fp8, less
    with int4 (scales cost their part). It pays with time, since all of the past is unpacked at each step, and with
    text: scores shift a little, and where two tokens are close, another one is chosen. Good where the cache, not the
    speed, is the limit: long contexts, many users.
    """

    id = "quantized_cache"
    name = "QuantizedCache"
    summary = "Keeps past keys and values in fewer bits: less memory, slightly other scores."
    lossless = False
    formula_note = "An exact cache of as many positions, in the model's number format."

    kind: str = option("fp8", "Format", "Of the numbers in the cache.", choices=("fp8", "int4", "int2"))

    def unavailable_reason(self, model: LoadedModel) -> str | None:
        kinds = set(get_layer_types_and_kwargs(model.config)[0])
        if kinds != {"full_attention"}:
            return "QuantizedCache takes models whose layers all attend to the whole text, and this one has others."
        if self.kind == "fp8":
            return _cached.unavailable_reason(model)
        if _backend() is None:
            return _missing(self.kind)
        if getattr(model.config, "kv_lora_rank", None):
            return f"{self.kind} needs keys as wide as values, and this model keeps a latent vector: choose fp8."
        return _cached.unavailable_reason(model)

    @torch.inference_mode()
    def decode(self, job: Job) -> Iterator[Step]:
        cache = _cache(self.kind, job.model)
        new_ids: Ids = job.encode("")
        reading = Reading(job.model)
        while True:
            if (text := reading.start_over(new_ids)) is not None:
                new_ids, cache = text, _cache(self.kind, job.model)
            choice = job.choose(next_token_logits(job.model, new_ids, cache))
            packed, residual = _bytes(cache)
            details = {
                "quantized_bytes": packed,
                "residual_bytes": residual,
                "exact_bytes": _numbers(cache) * job.model.dtype.itemsize,
                **reading.details,
            }
            yield Step((choice,), positions=len(new_ids), cache_bytes=packed + residual, details=details)
            new_ids = choice.ids

    def remarks(self, steps: Sequence[TimedStep]) -> list[str]:
        positions = steps[0].step.positions + len(steps) - 1  # held at the end, one token a step
        held, exact = steps[-1].step.cache_bytes, steps[-1].step.details["exact_bytes"]
        return [
            f"{self.info.name} held {words.amount(held / positions, 'B')} a position, scales and full-precision rest "
            f"included; an exact cache holds {words.amount(exact / positions, 'B')} (by formula), "
            f"{exact / held:.1f}× as much."
        ]

    def second_look(
        self, model: LoadedModel, prompt_ids: Sequence[int], steps: Sequence[TimedStep], stop: StopSignal
    ) -> list[str]:
        """The log-probability lost, in a sentence: the exact cache is fed the text of this run.

        An own log-probability above the exact one is no gain: the tokens were chosen for being likely with this cache.
        """
        written = [choice for timed in steps for choice in timed.step.choices]
        own = [choice.logprob for choice in written]
        exact = _exact.logprobs(model, prompt_ids, [choice.token for choice in written], stop)
        if exact is None:
            return []
        apart = max(abs(a - b) for a, b in zip(own, exact, strict=True))
        return [
            f"Fed the {words.count(len(written), 'token')} that {self.info.name} wrote, the exact cache gives them a "
            f"log-probability of {mean(exact):.3f} on average and {self.info.name} {mean(own):.3f}; at one token the "
            f"two are {apart:.3f} apart."
        ]


def _backend() -> str | None:
    """The installed package that packs integers; quanto first, because it is the faster one on a CPU."""
    if is_optimum_quanto_available():
        return "quanto"
    return "hqq" if is_hqq_available() else None


def _missing(kind: str) -> str:
    return f"{kind} needs the package optimum-quanto or hqq: install one, or choose fp8."


def _cache(kind: str, model: LoadedModel) -> QuantizedCache:
    """A cache of the format, its groups as long as they can be and yet fit into the width of a head.

    hqq packs several groups into one byte and mixes them up where their number is odd, so a head must be a whole
    number of bytes wide in groups.
    """
    if kind == "fp8":
        return QuantizedCache("fp8", model.network.config)
    backend, config = _backend(), model.config
    if backend is None:
        raise BadInput(_missing(kind))
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    groups = width if backend == "quanto" else width * _BITS[kind] // 8
    axis = 0 if backend == "quanto" else 1
    return QuantizedCache(
        backend,
        model.network.config,
        nbits=_BITS[kind],
        axis_key=axis,
        axis_value=axis,
        q_group_size=math.gcd(_GROUP, groups),
    )


def _bytes(cache: QuantizedCache) -> tuple[int, int]:
    """Bytes held packed, with their scales, and bytes held in full."""
    packed = sum(_held.nbytes((layer._quantized_keys, layer._quantized_values)) for layer in cache.layers)
    return packed, sum(_held.nbytes((layer.keys, layer.values)) for layer in cache.layers)


def _numbers(cache: QuantizedCache) -> int:
    """How many numbers the cache stands for: what an exact one holds."""
    parts = (
        part
        for layer in cache.layers
        for part in (layer._quantized_keys, layer._quantized_values, layer.keys, layer.values)
    )
    return sum(map(_stands_for, parts))


def _stands_for(packed: Any) -> int:
    match packed:
        case (_, {"shape": shape}):  # hqq: the packed numbers, and what they were
            return math.prod(shape)
        case (numbers, _):  # fp8: the numbers and their scale
            return int(numbers.numel())
        case _:  # quanto's packed tensor has the shape of what it stands for
            return int(packed.numel())
