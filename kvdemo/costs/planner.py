"""Calculate what a model needs of a machine from its configuration alone; nothing is measured.

Three questions are answered: how large the cache is, what fits beside the weights, and how fast decoding can be at
the most. The answers are formulas and one prediction. Nothing is added for what else a program keeps in memory:
activations, the libraries, what an allocator leaves unused. Real figures are worse; none can be better.

GB are 10⁹ bytes, as bandwidths and GPU memories are advertised; GiB (2³⁰) are never used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.declaration import blank, read, setting
from kvdemo.costs import formulas, plan_sentences
from kvdemo.costs.architecture import Architecture, one_or_all, shared
from kvdemo.documents.common import SCHEMA

GB = 10**9
#: Lengths in tokens at which the cache is given.
LENGTHS = (1024, 8192, 32_768, 131_072)
# Bits of a weight, and the format in which the cache is kept beside such weights: what the model computes in.
BITS = {"float32": 32, "bfloat16": 16, "float16": 16, "fp8": 8, "int8": 8, "int4": 4}
CACHE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "fp8": 1, "int8": 1}
_SPELT = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16", "float8": "fp8", "fp8/int8": "fp8"}
_DEFAULT_CONTEXT = 8192
#: Where the curve of the cache begins, how far it goes at the least, in positions, and into how many steps it is cut.
_CURVE_START, _CURVE_END, _CURVE_STEPS = 128, 200_000, 64


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """A plan as it was asked for: a model by name or a pasted configuration, which comes first, and a machine.

    cache_dtype  None for what the model computes in (see `cache_format`)
    context      None for 8192, or what the model was made for if less
    """

    model: str | None = setting(None, "Model", "catalogue name, Hub id or folder", typed="text", example="ID_OR_FOLDER")
    config: str | None = setting(
        None, "config.json", "a configuration, in place of the model's", typed="text", longest=None, named="config"
    )
    memory_gb: float = setting(
        None, "Memory", "of the device, in GB (10⁹ bytes)", typed="number", named="memory in GB", low=0.001, high=1e6,
        example="GB", missing="The memory in GB is missing: fill in what the machine has.",
    )  # fmt: skip
    bandwidth_gb_s: float = setting(
        None, "Bandwidth", "of its memory, in GB/s; an NVIDIA A10 has 600", typed="number",
        named="memory bandwidth in GB/s", low=0.001, high=1e8, example="GB/S",
        missing="The memory bandwidth in GB/s is missing: fill in what the machine has.",
    )  # fmt: skip
    dtype: str = setting(
        "bfloat16", "Weights", "number format of the weights", named="number format", choices=tuple(BITS), spelt=_SPELT
    )
    cache_dtype: str | None = setting(
        None, "Cache", "number format of the cache; unless named, what the model computes in",
        named="cache's number format", choices=tuple(CACHE_BYTES), spelt=_SPELT,
    )  # fmt: skip
    context: int | None = setting(
        None, "Context", "positions of each sequence; unless given, 8192, or what the model was made for if less",
        typed="whole", low=1, high=10**8, example="N",
    )  # fmt: skip
    batch: int = setting(1, "Batch", "sequences that are decoded side by side", low=1, high=10**6, example="B")

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> PlanRequest:
        """Read a request from whatever a form, a URL or a program sent. Raises BadInput."""
        if blank(raw.get("model")) and blank(raw.get("config")):
            raise BadInput("There is nothing to plan for: name a model, or paste its config.json.")
        return read(cls, raw)

    def plan(self, arch: Architecture) -> dict[str, Any]:
        """Plan for an architecture, which is the named model's or the pasted configuration's."""
        return plan(
            arch,
            memory_bytes=round(self.memory_gb * GB),
            bandwidth_bytes_per_s=self.bandwidth_gb_s * GB,
            dtype=self.dtype,
            cache_dtype=self.cache_dtype,
            context=self.context,
            batch=self.batch,
        )


def plan(
    arch: Architecture,
    *,
    memory_bytes: int,
    bandwidth_bytes_per_s: float,
    dtype: str = "bfloat16",
    cache_dtype: str | None = None,
    context: int | None = None,
    batch: int = 1,
) -> dict[str, Any]:
    """Calculate what a model costs on a machine, as a JSON-able dictionary.

    Sizes are bytes, lengths are positions. Each part that holds figures has a `basis`: "formula", or "predicted" for
    the decode floor. `largest_context` is None where the cache stops growing, and `outgrows_weights_at` where it never
    outgrows the weights. Key-value heads count once, whatever a library repeats (`architecture.shared`).
    """
    model = shared(arch)
    cache_dtype = cache_dtype or cache_format(dtype)
    itemsize = CACHE_BYTES[cache_dtype]
    context = context or min(_DEFAULT_CONTEXT, model.context_length or _DEFAULT_CONTEXT)
    weight_bytes, read_bytes = (_weight_bytes(n, dtype) for n in (model.parameters, model.active_parameters))
    a_sequence = formulas.kv_bytes(model, context, itemsize)
    fit = _fit(model, memory_bytes - weight_bytes, itemsize, a_sequence)
    cache_read = formulas.read_bytes(model, context, itemsize, batch)
    floor = formulas.decode_floor_s(read_bytes, cache_read, bandwidth_bytes_per_s)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": "plan",
        "model": _model(model),
        "settings": {
            "memory_bytes": memory_bytes,
            "bandwidth_bytes_per_s": bandwidth_bytes_per_s,
            "dtype": dtype,
            "cache_dtype": cache_dtype,
            "context": context,
            "batch": batch,
        },
        "weights": {"basis": "formula", "bytes": weight_bytes, "read_bytes_per_token": read_bytes},
        "cache": {
            "basis": "formula",
            "bytes_per_token": formulas.kv_bytes_per_token(model, itemsize),
            "bytes_per_token_past_windows": sum(
                x.bytes_per_position(itemsize) for x in model.layers if x.kind == "full"
            ),
            "constant_bytes": formulas.kv_bytes(model, 1, itemsize) - formulas.kv_bytes_per_token(model, itemsize),
            "at": [{"positions": n, "bytes": formulas.kv_bytes(model, n, itemsize)} for n in LENGTHS],
            "at_context": {"positions": context, "bytes": a_sequence, "batch_bytes": batch * a_sequence},
            "outgrows_weights_at": formulas.outgrows_weights_at(model, itemsize, weight_bytes),
            "repeated_bytes_per_token": formulas.kv_bytes_per_token(arch, itemsize) if arch.repeats > 1 else None,
        },
        "fit": fit | {"fits": fit["largest_batch"] >= batch, "needed_bytes": weight_bytes + batch * a_sequence},
        "decode": {
            "basis": "predicted",
            "bytes_read": read_bytes + cache_read,
            "ms_per_token": 1000 * floor,
            "tokens_per_s": 1 / floor,
            "batch_tokens_per_s": batch / floor,
        },
    }
    document["cache"]["curve"] = _curve(model, itemsize, _end_of_curve(document))
    return document | {
        "headline": plan_sentences.headline(document),
        "sentences": plan_sentences.sentences(document, model, arch.repeats),
        "notes": plan_sentences.notes(document, model),
    }


def _end_of_curve(document: Mapping[str, Any]) -> int:
    """Return the longest context of the curve: beyond every length that the plan names."""
    cache, fit = document["cache"], document["fit"]
    named = (document["settings"]["context"], fit["largest_context"], cache["outgrows_weights_at"])
    return round(1.4 * max(_CURVE_END, *(length or 0 for length in named)))


def _curve(arch: Architecture, itemsize: int, end: int) -> list[dict[str, int]]:
    """Calculate sizes of one sequence's cache up to `end`: equal distances on a logarithmic scale, and full windows."""
    steps = {round(_CURVE_START * (end / _CURVE_START) ** (n / _CURVE_STEPS)) for n in range(_CURVE_STEPS + 1)}
    full = {layer.window for layer in arch.layers if layer.window and _CURVE_START < layer.window < end}
    return [{"positions": n, "bytes": formulas.kv_bytes(arch, n, itemsize)} for n in sorted(steps | full)]


def cache_format(dtype: str) -> str:
    """Choose the cache's number format beside weights of a format: theirs, or bfloat16 beside quantised weights.

    Quantised weights are turned into 16-bit numbers for each product, so keys and values have 16 bits.
    """
    return dtype if BITS[dtype] >= 16 else "bfloat16"


def _weight_bytes(parameters: int, dtype: str) -> int:
    return -(-parameters * BITS[dtype] // 8)


def _model(arch: Architecture) -> dict[str, Any]:
    return {
        "name": arch.name,
        "attention": arch.attention,
        "layers": len(arch.layers),
        "layer_kinds": dict(Counter(layer.kind for layer in arch.layers)),
        "heads": one_or_all(arch.all_heads),
        "kv_heads": sorted({layer.kv_heads for layer in arch.layers if layer.kv_heads}),
        "head_dim": sorted({layer.head_dim for layer in arch.layers if layer.kv_heads}),
        "hidden_size": arch.hidden_size,
        "vocab_size": arch.vocab_size,
        "context_length": arch.context_length,
        "basis": "formula",
        "parameters": arch.parameters,
        "active_parameters": arch.active_parameters,
    }


def _fit(arch: Architecture, free: int, itemsize: int, a_sequence: int) -> dict[str, Any]:
    """Calculate what fits into the memory that the weights leave; `free` is below 0 where they do not fit."""
    return {
        "basis": "formula",
        "weights_fit": free >= 0,
        "free_bytes": max(free, 0),
        "largest_context": formulas.most_positions(arch, itemsize, free),
        "largest_batch": max(free, 0) // a_sequence,
    }
