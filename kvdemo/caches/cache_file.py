"""Convert a cache to and from the legacy format, and save it in a file.

The legacy format is what transformers handed out before it had cache classes: for each layer a pair of tensors, keys
and values, of the shape (rows, kv_heads, positions, head_dim). Version 5 removed its converters, and none are needed:
a cache iterates over its layers as (keys, values, sliding window), and a DynamicCache can be built from pairs.

A pair says nothing of a window, of states, or of numbers packed into fewer bits. The model's configuration knows of
windows, so a layer with a window is taken as long as it still has all of its positions (`activate_past_recording`); a
layer that keeps anything else is refused. One that keeps nothing, because it reads another layer's keys, has no pair.

In a file, the same tensors lie in the safetensors format: numbers and a header, with nothing in it that could be run.
The header also says what they belong to, and a file that does not fit the model is refused before its tensors are read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import Cache, DynamicCache, PreTrainedModel
from transformers.cache_utils import DummyLayer, DynamicLayer, DynamicSlidingWindowLayer

from kvdemo.core.errors import BadInput
from kvdemo.core.settings import validation
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.cache_argument import cache_kwargs

Legacy = tuple[tuple[Tensor, Tensor], ...]
#: For each layer the shapes of its keys and its values.
Shapes = list[list[list[int]]]

_FORMAT = "kvdemo cache 1"
_PARTS = ("keys", "values")
# So many numbers of each weight go into the model's fingerprint: enough to tell two models apart, read in no time.
_SAMPLED = 64
# What each network writes for a single position: finding out takes a pass.
_probed: WeakKeyDictionary[PreTrainedModel, Shapes] = WeakKeyDictionary()


def unavailable_reason(model: LoadedModel) -> str | None:
    """Say why this model's cache cannot be written as pairs of keys and values; None if it can."""
    return _more_than_pairs(DynamicCache(config=model.network.config))


def recording(model: LoadedModel) -> DynamicCache:
    """Make an empty cache of the model's layers that can be converted: layers with a window keep all positions."""
    cache = DynamicCache(config=model.network.config)
    cache.activate_past_recording()
    return cache


def fill(cache: DynamicCache, legacy: Legacy) -> DynamicCache:
    """Fill an empty cache with copies of these keys and values, on their device."""
    for layer, (keys, values) in zip(_holding(cache), legacy, strict=True):
        layer.update(keys, values)
    return cache


def to_legacy(cache: Cache) -> Legacy:
    """Return keys and values of each layer. The tensors are the cache's own; its growth does not change them.

    Raises BadInput for a cache that holds anything else, or nothing yet.
    """
    if reason := _more_than_pairs(cache):
        raise BadInput(f"This cache cannot be converted: {reason}")
    pairs = tuple((layer.keys, layer.values) for layer in _holding(cache))
    if not pairs or any(tensor is None for pair in pairs for tensor in pair):
        raise BadInput("This cache holds nothing yet: run the model with it before it is converted.")
    return pairs


def from_legacy(legacy: Sequence[tuple[Tensor, Tensor]], model: LoadedModel) -> DynamicCache:
    """Make a cache that the model can go on with. Raises BadInput for what this model's layers cannot have written."""
    _check_pairs(model)
    _check_shapes("The cache", _shapes(legacy), model)
    _check_dtype(legacy, model)
    return fill(DynamicCache(config=model.network.config), on(legacy, model.device))


def on(legacy: Sequence[tuple[Tensor, Tensor]], device: torch.device | str) -> Legacy:
    """Move the pairs to a device; what is there already is not copied."""
    return tuple((keys.to(device), values.to(device)) for keys, values in legacy)


def save(path: Path, cache: Cache, model: LoadedModel, ids: Sequence[int]) -> None:
    """Write the cache of one text to a safetensors file. `ids` are the tokens whose keys and values it holds.

    Raises BadInput for a cache that cannot be converted and for a place that cannot be written.
    """
    write(path, to_legacy(cache), model, ids)


def load(path: Path, model: LoadedModel) -> tuple[DynamicCache, list[int]]:
    """Read a saved cache onto the model's device; also returns the tokens that it holds.

    Raises BadInput for a file that is damaged, or that belongs to another model.
    """
    legacy, ids, _ = read(path, model)
    return fill(DynamicCache(config=model.network.config), on(legacy, model.device)), ids


def write(path: Path, legacy: Legacy, model: LoadedModel, ids: Sequence[int], note: str = "") -> None:
    """Write the pairs of one text, and a note that goes with them.

    An existing file is replaced when all is written. Raises BadInput for a place that cannot be written.
    """
    shapes = _shapes(legacy)
    if any((shape[0], shape[2]) != (1, len(ids)) for pair in shapes for shape in pair):
        raise ValueError("a file holds one text, and of it one id for each position in the cache")
    tensors = {
        f"{layer}.{part}": tensor.detach().cpu().clone(memory_format=torch.contiguous_format)  # memory of its own
        for layer, pair in enumerate(legacy)
        for part, tensor in zip(_PARTS, pair, strict=True)
    }
    about = _belongs_to(model) | {"shapes": json.dumps(shapes), "tokens": json.dumps(list(ids)), "note": note}
    try:
        save_file(tensors, path, metadata=about)
    except (OSError, SafetensorError) as error:
        raise BadInput(f"The cache cannot be written to {path}: {_why(error)}.") from error


def read(path: Path, model: LoadedModel) -> tuple[Legacy, list[int], str]:
    """Read a file: the pairs, in main memory, the tokens that they belong to, and the note. Raises BadInput."""
    _check_pairs(model)
    try:
        with safe_open(path, framework="pt") as opened:
            about = opened.metadata() or {}
            shapes, ids = _header(path, about, model)
            stored = {name: list(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
            if stored != {f"{n}.{part}": pair[i] for n, pair in enumerate(shapes) for i, part in enumerate(_PARTS)}:
                raise BadInput(f"The cache in {path} does not hold what its header says: save it again.")
            # A copy, because what is read is the file itself, mapped into memory.
            legacy = tuple(
                (opened.get_tensor(f"{n}.keys").clone(), opened.get_tensor(f"{n}.values").clone())
                for n in range(len(shapes))
            )
    except (OSError, SafetensorError) as error:
        raise BadInput(f"The cache in {path} cannot be read: {_why(error)}.") from error
    _check_dtype(legacy, model)
    return legacy, ids, about.get("note", "")


def _check_dtype(legacy: Sequence[tuple[Tensor, Tensor]], model: LoadedModel) -> None:
    if other := {_name(tensor.dtype) for pair in legacy for tensor in pair} - {_name(model.dtype)}:
        raise BadInput(
            f"The cache holds {other.pop()} and {model.id} runs in {_name(model.dtype)}: use one of the two."
        )


def _header(path: Path, about: Mapping[str, str], model: LoadedModel) -> tuple[Shapes, list[int]]:
    """Read shapes and token ids from a file's header, which must name this model."""
    if about.get("format") != _FORMAT:
        raise BadInput(f"{path} is not a cache that kvdemo saved: save one with this version.")
    for what, ours in _belongs_to(model).items():
        if about.get(what) != ours:
            raise BadInput(
                f"The cache in {path} was written by another model ({what} {validation.show(about.get(what))}, "
                f"and here it is {validation.show(ours)}): load that one, or save it again."
            )
    try:
        shapes, ids = json.loads(about["shapes"]), json.loads(about["tokens"])
        known = range(model.rows)
        if not all(type(token) is int and token in known for token in ids):
            raise ValueError("ids that the model does not know")
        fits = all(shape[0] == 1 and shape[2] == len(ids) for pair in shapes for shape in pair)
    except (LookupError, TypeError, ValueError, RecursionError):
        fits = False
    if not fits:
        raise BadInput(f"The header of the cache in {path} is damaged: save it again.")
    _check_shapes(f"The cache in {path}", shapes, model)
    return shapes, ids


def _belongs_to(model: LoadedModel) -> dict[str, str]:
    """List what must be the same where a cache is written and where it is read."""
    return {
        "format": _FORMAT,
        "model": model.id,
        "revision": model.source.revision or "",
        "dtype": _name(model.dtype),
        "weights": _fingerprint(model),
    }


def _fingerprint(model: LoadedModel) -> str:
    """Hash some numbers of each weight: a folder keeps its name when its files are replaced."""
    digest = hashlib.sha256()
    for name, weight in model.network.named_parameters():
        first = weight.detach().flatten()[:_SAMPLED].float().tolist()
        digest.update(repr((name, list(weight.shape), first)).encode())
    return digest.hexdigest()[:16]


def _check_pairs(model: LoadedModel) -> None:
    if reason := unavailable_reason(model):
        raise BadInput(f"{model.id} cannot take a cache in the legacy format: {reason}")


def _more_than_pairs(cache: Cache) -> str | None:
    """Say what this cache keeps that a pair of keys and values does not state; None if there is nothing."""
    for layer in _holding(cache):
        # The class itself: those that keep states and packed numbers are derived from it.
        if type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer):
            return f"it has layers that are not plain keys and values ({type(layer).__name__})."
        if layer.is_initialized and layer.keys.shape[-2] < layer.get_seq_length():
            return "its layers with a window have dropped positions: let them record the past."
    return None


def _holding(cache: Cache) -> list[Any]:
    """List the layers that keep something."""
    return [layer for layer in cache.layers if not isinstance(layer, DummyLayer)]


def _shapes(legacy: Sequence[tuple[Tensor, Tensor]]) -> Shapes:
    return [[list(tensor.shape) for tensor in pair] for pair in legacy]


@torch.inference_mode()
def _check_shapes(what: str, shapes: Shapes, model: LoadedModel) -> None:
    """Compare with what the model itself writes for a single position; rows and positions must agree everywhere."""
    if model.network not in _probed:
        probe = DynamicCache(config=model.network.config)
        one = torch.zeros((1, 1), dtype=torch.long, device=model.device)
        model.network(input_ids=one, **cache_kwargs(model.network, probe))
        _probed[model.network] = _shapes(to_legacy(probe))
    rows, positions = _rows_and_positions(shapes)
    expected = [[[rows, s[1], positions, s[3]] for s in pair] for pair in _probed[model.network]]
    if not rows or not positions or shapes != expected:
        raise BadInput(f"{what} has other shapes than {model.id} writes: use one that this model wrote.")


def _rows_and_positions(shapes: Any) -> tuple[int, int]:
    try:
        rows, _, positions, _ = shapes[0][0]
    except (LookupError, TypeError, ValueError):
        return 0, 0
    return rows, positions


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _why(error: Exception) -> str:
    """Return the first line of an error, without the full stop."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0].rstrip(".")
