"""Keep past keys and values in fewer bits (QuantizedCache)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import mean
from typing import Any

import torch
import transformers
from transformers import DynamicCache, cache_utils
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer
from transformers.utils import is_hqq_available, is_optimum_quanto_available

from kvdemo.caches import byte_count
from kvdemo.core.cancellation import CancelToken
from kvdemo.core.errors import BadInput
from kvdemo.core.figures import units
from kvdemo.core.picture import Picture
from kvdemo.core.types import Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import cache_layers, fitting_cache
from kvdemo.models.network.forward import Ids, next_token_logits
from kvdemo.strategies.base import Job, Strategy, option
from kvdemo.strategies.compatibility import cache_support, trial
from kvdemo.strategies.kv_cache import teacher_forcing
from kvdemo.strategies.longrope import Reading

_BITS = {"int4": 4, "int2": 2}
# Numbers that share a scale, at most: what the two packages and transformers use by default.
_GROUP = 64
# Why a layer is kept exactly: the detail that counts such layers, and how a remark names them.
_EXACT = {
    "bounded_layers": "with a window or states, of bounded size",
    "larger_layers": "of more than keys and values, growing but without a packed form",
    "empty_layers": "without keys and values of their own",
}


class Quantized(Strategy):
    """Keeps past keys and values in 8, 4 or 2 bits and turns them back into full numbers for each step.

    fp8 takes one scale a layer from the prompt and stores each new position right away; what is larger than all of
    the prompt is cut off. int4 and int2 keep a scale for every few numbers and hold the newest positions, up to 127,
    in full; the prompt is packed at once. It wins memory: a quarter of float32 or half of bfloat16 with fp8, less
    with int4 (scales cost their part). It pays with time, since all of the past is unpacked at each step, and with
    text: scores shift a little, and where two tokens are close, another one is chosen. Good where the cache, not the
    speed, is the limit: long contexts, many users. Layers with a window or states do not grow and are kept exactly.
    So are layers that keep more than keys and values, such as an indexer's keys: for them there is no packed form.
    """

    id = "quantized_cache"
    name = "QuantizedCache"
    summary = "Keeps past keys and values in fewer bits: less memory, slightly other scores."
    lossless = False
    picture = Picture(
        computes="new", keeps="packed", packing="kind", bits={"fp8": 8, "int4": 4, "int2": 2},
        in_full={"int4": 127, "int2": 127},
    )  # fmt: skip
    formula_note = "An exact cache of as many positions, in the model's number format."

    kind: str = option("fp8", "Format", "Of the numbers in the cache.", choices=("fp8", "int4", "int2"))

    def unavailable_reason(self, model: LoadedModel) -> str | None:
        if reason := _missing(self.kind):
            return reason
        layers = fitting_cache.dynamic_cache(model.network).layers
        if not any(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers):
            return "it keeps no keys and values by themselves that could be packed: use DynamicCache."
        if self.kind != "fp8" and (reason := _widths_reason(self.kind, model)):
            return reason
        if reason := cache_support.unavailable_reason(model):
            return reason
        return trial.reason(model, self.spec, self.decode, exact=False, instead="DynamicCache")

    @torch.inference_mode()
    def decode(self, job: Job) -> Iterator[Step]:
        cache, packed = _cache(self.kind, job.model)
        new_ids: Ids = job.encode("")
        reading = Reading(job.model)
        while True:
            if (text := reading.start_over(new_ids)) is not None:
                new_ids, (cache, packed) = text, _cache(self.kind, job.model)
            choice = job.choose(next_token_logits(job.model, new_ids, cache))
            quantized, residual = _bytes(packed)
            as_they_are = [layer for layer in cache.layers if layer not in packed]
            others = sum(tensor.nbytes for layer in as_they_are for tensor in cache_layers.layer_tensors(layer))
            details = {
                "quantized_bytes": quantized,
                "residual_bytes": residual,
                "exact_bytes": _numbers(packed) * job.model.dtype.itemsize + others,
                **({"layers": len(cache.layers), "unquantized_layers": len(as_they_are)} if as_they_are else {}),
                **({"unquantized_bytes": others} if as_they_are else {}),
                **Counter(map(_why_exact, as_they_are)),
                **reading.details,
            }
            cache_bytes = quantized + residual + others
            yield Step((choice,), positions=len(new_ids), cache_bytes=cache_bytes, details=details)
            new_ids = choice.ids

    def remarks(self, steps: Sequence[TimedStep]) -> list[str]:
        last, name = steps[-1].step, self.info.name
        all_layers, others = (int(last.details.get(key, 0)) for key in ("layers", "unquantized_layers"))
        kept = "; ".join(
            f"{units.count(int(last.details[key]), 'layer')} {what}"
            for key, what in _EXACT.items()
            if key in last.details
        )
        exactly = f"It kept {units.amount(last.details['unquantized_bytes'], 'B')} exactly: {kept}." if others else ""
        if others and others == all_layers:
            return [f"{name} quantised nothing. {exactly}"]
        positions = steps[0].step.positions + len(steps) - 1  # held at the end, one token a step
        held, exact = last.cache_bytes, last.details["exact_bytes"]
        found = [
            f"{name} held {units.amount(held / positions, 'B')} a position, scales and full-precision rest "
            f"included; an exact cache holds {units.amount(exact / positions, 'B')} (by formula), "
            f"{units.times(exact / held)} as much."
        ]
        if others:
            quantised = units.count(all_layers - others, "layer")
            found.append(f"{name} quantised {quantised} of keys and values that grow with the text. {exactly}")
        return found

    def post_race_check(
        self, model: LoadedModel, prompt_ids: Sequence[int], steps: Sequence[TimedStep], stop: CancelToken
    ) -> list[str]:
        """Say in a sentence how much log-probability was lost: the exact cache is fed the text of this run.

        An own log-probability above the exact one is no gain: the tokens were chosen for being likely with this cache.
        """
        written = [choice for timed in steps for choice in timed.step.choices]
        own = [choice.logprob for choice in written]
        exact = teacher_forcing.logprobs(model, prompt_ids, [choice.token for choice in written], stop)
        if exact is None:
            return []
        apart = max(abs(a - b) for a, b in zip(own, exact, strict=True))
        return [
            f"Fed the {units.count(len(written), 'token')} that {self.info.name} wrote, the exact cache gives them a "
            f"log-probability of {mean(exact):.3f} on average and {self.info.name} {mean(own):.3f}; at one token the "
            f"two are {apart:.3f} apart."
        ]


def packing_backend() -> str | None:
    """Find the installed package that packs integers; quanto first, because it is the faster one on a CPU."""
    if is_optimum_quanto_available():
        return "quanto"
    return "hqq" if is_hqq_available() else None


def _missing(kind: str) -> str | None:
    """Name what must be installed before this format can be used."""
    if kind != "fp8":
        return (
            None
            if packing_backend()
            else f"{kind} needs the package optimum-quanto or hqq: install one, or choose fp8."
        )
    if not hasattr(cache_utils, "Fp8QuantizedLayer"):
        return f"transformers {transformers.__version__} has no cache in fp8: install a newer one, or choose int4."
    return None


def _cache(kind: str, model: LoadedModel) -> tuple[DynamicCache, list[Any]]:
    """Make a cache of the model's layers, and list those of them that are packed: keys and values alone, that grow."""
    cache = fitting_cache.dynamic_cache(model.network)
    packed = {n: _layer(kind, model, n) for n, layer in enumerate(cache.layers) if type(layer) is DynamicLayer}
    cache.layers = [packed.get(n, layer) for n, layer in enumerate(cache.layers)]
    return cache, list(packed.values())


def _why_exact(layer: Any) -> str:
    """Tell by the tensors of a layer that is not packed why it is not, as a key of `_EXACT`."""
    names = [name for name, _ in cache_layers.named_tensors(layer)]
    if not names:
        return "empty_layers"  # it reads the keys of another layer, or has no attention
    states = all("." in name for name in names)
    return "bounded_layers" if states or getattr(layer, "is_sliding", False) else "larger_layers"


def _widths_reason(kind: str, model: LoadedModel) -> str | None:
    """Say why the integers of a format cannot hold this model's keys and values."""
    if model.layers is None:
        return f"{kind} needs to know how wide its keys are, which could not be found out: choose fp8."
    if any(layer.head_dim != layer.value_dim for layer in model.layers):
        return f"{kind} needs keys as wide as values, and this model keeps others (a latent vector, say): choose fp8."
    return None


def _layer(kind: str, model: LoadedModel, number: int) -> Any:
    """Make the layer of a number in the format, its groups as long as they can be and yet fit into the width of a head.

    hqq packs several groups into one byte and mixes them up where their number is odd, so a head must be a whole
    number of bytes wide in groups.
    """
    if reason := _missing(kind):
        raise BadInput(reason)
    if kind == "fp8":
        return cache_utils.Fp8QuantizedLayer()
    if model.layers is None:
        raise BadInput(str(_widths_reason(kind, model)))
    backend, width = packing_backend(), model.layers[number].head_dim
    groups = width if backend == "quanto" else width * _BITS[kind] // 8
    axis = 0 if backend == "quanto" else 1
    made = cache_utils.QuantoQuantizedLayer if backend == "quanto" else cache_utils.HQQQuantizedLayer
    return made(nbits=_BITS[kind], axis_key=axis, axis_value=axis, q_group_size=math.gcd(_GROUP, groups))


def _bytes(packed: Sequence[Any]) -> tuple[int, int]:
    """Count the bytes that layers hold packed, with their scales, and those that they hold in full."""
    quantized = sum(byte_count.nbytes((layer._quantized_keys, layer._quantized_values)) for layer in packed)
    return quantized, sum(byte_count.nbytes((layer.keys, layer.values)) for layer in packed)


def _numbers(packed: Sequence[Any]) -> int:
    """Count the numbers that the layers stand for: what exact ones hold."""
    parts = (
        part for layer in packed for part in (layer._quantized_keys, layer._quantized_values, layer.keys, layer.values)
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
