"""Save a cache in a file, and read it back for the same model.

The tensors of the legacy format (`legacy_format`) lie in the safetensors format: numbers and a header, with nothing in
it that could be run. The header also says what they belong to, and a file that does not fit the model is refused before
its tensors are read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from transformers import Cache, DynamicCache

from kvdemo.caches import legacy_format
from kvdemo.caches.legacy_format import Legacy, Shapes
from kvdemo.core.errors import BadInput
from kvdemo.core.settings import validation
from kvdemo.models.device import dtype_name
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import fitting_cache

_FORMAT = "kvdemo cache 1"
_PARTS = ("keys", "values")
# So many numbers of each weight go into the model's fingerprint: enough to tell two models apart, read in no time.
_SAMPLED = 64


def save(path: Path, cache: Cache, model: LoadedModel, ids: Sequence[int]) -> None:
    """Write the cache of one text to a safetensors file. `ids` are the tokens whose keys and values it holds.

    Raises BadInput for a cache that cannot be converted and for a place that cannot be written.
    """
    write(path, legacy_format.to_legacy(cache), model, ids)


def load(path: Path, model: LoadedModel) -> tuple[DynamicCache, list[int]]:
    """Read a saved cache onto the model's device; also returns the tokens that it holds.

    Raises BadInput for a file that is damaged, or that belongs to another model.
    """
    legacy, ids, _ = read(path, model)
    return legacy_format.fill(fitting_cache.dynamic_cache(model.network), legacy_format.on(legacy, model.device)), ids


def write(path: Path, legacy: Legacy, model: LoadedModel, ids: Sequence[int], note: str = "") -> None:
    """Write the pairs of one text, and a note about them.

    An existing file is replaced when all is written. Raises BadInput for a place that cannot be written.
    """
    shapes = legacy_format.shapes_of(legacy)
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
    legacy_format.check_pairs(model)
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
    legacy_format.check_dtype(legacy, model)
    return legacy, ids, about.get("note", "")


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
    legacy_format.check_shapes(f"The cache in {path}", shapes, model)
    return shapes, ids


def _belongs_to(model: LoadedModel) -> dict[str, str]:
    """List what must be the same where a cache is written and where it is read."""
    return {
        "format": _FORMAT,
        "model": model.id,
        "revision": model.source.revision or "",
        "dtype": dtype_name(model.dtype),
        "weights": _fingerprint(model),
    }


def _fingerprint(model: LoadedModel) -> str:
    """Hash some numbers of each weight: a folder keeps its name when its files are replaced."""
    digest = hashlib.sha256()
    for name, weight in model.network.named_parameters():
        first = weight.detach().flatten()[:_SAMPLED].float().tolist()
        digest.update(repr((name, list(weight.shape), first)).encode())
    return digest.hexdigest()[:16]


def _why(error: Exception) -> str:
    """Return the first line of an error, without the full stop."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0].rstrip(".")
