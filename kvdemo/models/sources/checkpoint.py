"""Check by its files alone that a folder holds a causal language model that may be opened.

No weight is read and no code is run: what is refused here is refused before a gigabyte is downloaded
or the model in memory is given up.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from kvdemo.core.errors import BadInput

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack")
_TOKENIZERS = ({"tokenizer.json"}, {"tokenizer.model"}, {"vocab.json", "merges.txt"}, {"spiece.model"})


def check(folder: Path, name: str) -> None:
    """Raise BadInput, one sentence about the model `name`, unless `folder` can be loaded from as it is."""
    check_whole(folder, name)
    check_config(read_json(folder / "config.json", name), name)


def check_whole(folder: Path, name: str) -> None:
    """Raise BadInput unless a folder has a configuration, all its weights as safetensors, and a tokenizer."""
    try:
        files = {path.name for path in folder.iterdir() if path.is_file()}
    except OSError as error:
        raise BadInput(f"{name} is no folder that can be read ({error.strerror}).") from error
    check_files(files, name)
    if missing := [shard for shard in shards(folder, name) if shard not in files]:
        raise BadInput(f"{name} is incomplete: {missing[0]} is missing; download it again.")


def check_files(files: Collection[str], name: str) -> None:
    """Raise BadInput unless a list of file names has a configuration, safetensors weights and a tokenizer."""
    if "config.json" not in files:
        raise BadInput(f"{name} is no model for transformers: it has no config.json.")
    if not {WEIGHTS, INDEX} & set(files):
        if any(file.endswith(_PICKLES) for file in files):
            raise BadInput(
                f"{name} has its weights only as a pickle, which can run code when opened: "
                "choose a model with safetensors weights, or convert it first."
            )
        raise BadInput(f"{name} has no {WEIGHTS}: choose a model with safetensors weights.")
    if not _has_tokenizer(files):
        raise BadInput(f"{name} has no tokenizer (tokenizer.json, say): save its tokenizer beside the weights.")


def has_all_beside_weights(folder: Path) -> bool:
    """Tell whether a folder has a configuration and a tokenizer, whatever it has of the weights."""
    files = {path.name for path in folder.iterdir()}
    return "config.json" in files and _has_tokenizer(files)


def _has_tokenizer(files: Collection[str]) -> bool:
    return any(needed <= set(files) for needed in _TOKENIZERS)


def check_config(config: dict[str, Any], name: str) -> None:
    """Raise BadInput unless a configuration names a class whose text part continues text, and weights of a known form.

    See `text_part` and `quantization`.
    """
    from kvdemo.models.facts import quantization, text_part  # noqa: PLC0415 - transformers; all else is asked without it

    text_part.check({"architectures": None, **config}, name, saved=True)
    quantization.check(config, name)


def shards(folder: Path, name: str) -> list[str]:
    """List the safetensors files that hold the weights. Raises BadInput for a damaged index."""
    if (folder / WEIGHTS).is_file():
        return [WEIGHTS]
    names = read_json(folder / INDEX, name).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(n, str) for n in names.values()):
        raise BadInput(f"{name} is damaged: {INDEX} names no files; download it again.")
    return sorted(set(names.values()))


def count_numbers(folder: Path, name: str) -> int:
    """Count the numbers in the weights of a folder by the headers of its files. Raises BadInput for a damaged file."""
    total = 0
    for shard in shards(folder, name):
        try:
            with safe_open(folder / shard, framework="np") as file:
                total += sum(math.prod(file.get_slice(weight).get_shape()) for weight in file.keys())  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise BadInput(f"{name} is damaged: {shard} cannot be read; download it again.") from error
    return total


def read_json(path: Path, name: str) -> dict[str, Any]:
    """Read a JSON object from a file. Raises BadInput for anything else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{name} cannot be read: {path.name}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{name} is damaged: {path.name} is not valid JSON; download it again.") from error
    if not isinstance(content, dict):
        raise BadInput(f"{name} is damaged: {path.name} is not a JSON object; download it again.")
    return content
