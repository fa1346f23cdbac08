"""Read from the tensors of a cache what each of its layers keeps: heads, widths, windows, states.

Every family of models names differently how many key-value heads a layer has, how wide they are, and what it keeps if
it has none: GPT-2 has no name for it, Falcon three, Gemma 4 another number for some layers, DeepSeek keeps a latent
vector. So these numbers are read from the shapes of the tensors, here and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from transformers import PreTrainedModel

from kvdemo.core.errors import BadInput
from kvdemo.costs.architecture import LayerCache
from kvdemo.models.facts import meta_run
from kvdemo.models.facts.meta_run import POSITIONS, Shapes, Trial


def read_layer_caches(network: PreTrainedModel, name: str) -> tuple[LayerCache, ...]:
    """Read what each layer of a loaded model's cache keeps; the model itself is not run. Raises BadInput."""
    return meta_run.try_build(name, lambda: layer_caches(meta_run.run_trial(network.config, name, type(network)), name))


def layer_caches(trial: Trial, name: str) -> tuple[LayerCache, ...]:
    """Read what each layer keeps. Raises BadInput, one sentence about the model `name`, where no formula gives it."""
    if not any(trial.shapes[-1]):
        raise BadInput(f"{name} is not supported: it keeps what it has seen outside of transformers' DynamicCache.")
    passes = zip(*trial.shapes, strict=True)
    found = [_layer(held, shapes, name) for held, shapes in zip(trial.cache.layers, passes, strict=True)]
    types = list(getattr(trial.text, "layer_types", None) or ())
    types += [None] * (len(found) - len(types))
    # A layer without keys for an indexer may use what another one of its type has chosen (GLM-5).
    sparse = {kind for kind, layer in zip(types, found, strict=False) if layer.indexed}
    return tuple(
        replace(
            layer,
            chunked=kind == "chunked_attention" and layer.kind == "sliding",
            sparse=kind in sparse and layer.kind == "full",
            query_heads=trial.query_heads.get(place, 0) if layer.kv_heads else 0,
        )
        for place, (kind, layer) in enumerate(zip(types, found, strict=False))
    )


def _layer(held: Any, passes: Sequence[Shapes], name: str) -> LayerCache:
    """Read what one layer keeps from its tensors' shapes after each pass."""
    kind = type(held).__name__
    if not passes[-1]:
        if "LinearAttention" in kind:
            raise BadInput(f"{name} is not supported: it keeps its states outside of transformers' DynamicCache.")
        return LayerCache("state")  # nothing: it shares another layer's keys, or has none of a text alone
    # transformers keeps window - 1 positions: DynamicSlidingWindowLayer.update
    window = held.sliding_window - 1 if getattr(held, "is_sliding", False) else None
    seen = POSITIONS[: len(passes)]
    kept = [positions if window is None else min(positions, window) for positions in seen]
    keys, values = (_width([shapes.get(part) for shapes in passes], kept, name) for part in ("keys", "values"))
    beside = _beside(passes, kept)
    if beside is None or (keys is None) != (values is None) or (keys and values and keys[0] != values[0]):
        raise BadInput(f"{name} is not supported: what its cache keeps ({kind}) grows by no simple formula.")
    if keys is None or values is None:
        return LayerCache("state" if not beside["index_elements"] + beside["index_bytes"] else "full", **beside)
    return LayerCache(
        kind="full" if window is None else "sliding",
        kv_heads=keys[0],
        head_dim=keys[1],
        value_dim=values[1],
        window=window,
        **beside,
    )


def _width(
    tensors: Sequence[tuple[torch.Size, torch.dtype] | None], kept: list[int], name: str
) -> tuple[int, int] | None:
    """Read heads and width of keys or values, (1, heads, positions, width); None if there are none. Raises BadInput."""
    if not any(tensors):
        return None
    shapes = [tuple(tensor[0]) if tensor else () for tensor in tensors]
    last = shapes[-1]
    if len(last) != 4 or shapes != [(last[0], last[1], positions, last[3]) for positions in kept]:
        raise BadInput(f"{name} is not supported: its cache does not grow by one position a token.")
    return last[1], last[3]


def _beside(passes: Sequence[Shapes], kept: list[int]) -> dict[str, Any] | None:
    """Count what a layer keeps beside keys and values, as `LayerCache` does; None where it grows by no formula."""
    sums = {"state_elements": 0, "float32_elements": 0, "index_elements": 0, "index_bytes": 0}
    for tensor, (last, dtype) in passes[-1].items():
        if tensor in ("keys", "values"):
            continue
        if any(tensor not in shapes for shapes in passes):
            return None
        shapes = [shapes[tensor][0] for shapes in passes]
        if tensor != "indexer_keys" and all(shape == last for shape in shapes):
            sums["float32_elements" if dtype == torch.float32 else "state_elements"] += math.prod(last)
        elif (grown := _grown(shapes, kept)) is None:
            return None
        elif dtype == torch.bfloat16:
            sums["index_elements"] += grown
        else:
            sums["index_bytes"] += grown * dtype.itemsize
    return sums


def _grown(shapes: Sequence[torch.Size], kept: list[int]) -> int | None:
    """Count the numbers by which a tensor grows with each position that is kept; None if it grows otherwise."""
    last = shapes[-1]
    for n in range(len(last)):
        if shapes == [torch.Size((*last[:n], positions, *last[n + 1 :])) for positions in kept]:
            return math.prod(last) // last[n]
    return None
