"""Look into a model's files whether its projection onto the vocabulary was saved apart from its embedding."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from transformers import PreTrainedConfig

from kvdemo.core.errors import BadInput
from kvdemo.models.facts import text_part
from kvdemo.models.sources import checkpoint

# Rows that are compared at once. Two weights that differ do so in the first of them.
_ROWS = 1024


def is_apart(folder: Path, config: PreTrainedConfig, name: str) -> bool:
    """Tell whether the files hold a projection that is not equal to the embedding, which transformers does not tie.

    False where there are no files, and where they cannot be read: then the configuration has the last word.
    """
    try:
        places = _places(folder, name)
        return any(
            places.keys() >= {head, words} and not _equal(places[head], head, places[words], words)
            for head, words in _pairs(config, name, places)
        )
    except (BadInput, OSError, SafetensorError):
        return False


def _pairs(config: PreTrainedConfig, name: str, saved: dict[str, Path]) -> list[tuple[str, str]]:
    """List the saved tensors that are one weight in a tied model, by the last two words of their names."""
    text = config.get_text_config(decoder=True)
    ways = [*text_part.to_load(config, name), *text_part.to_load(text, name)]  # Voxtral's whole leaves it to its text
    made = [auto._model_mapping[type(part)] for auto, part in ways]
    named = {pair for kind in made for pair in (getattr(kind, "_tied_weights_keys", None) or {}).items()}
    ends = [tuple(".".join(path.rsplit(".", 2)[-2:]) for path in pair) for pair in named]
    return [
        (head, words)
        for one, other in ends
        for head in saved
        for words in saved
        if head.endswith(one) and words.endswith(other) and head != words
    ]


def _places(folder: Path, name: str) -> dict[str, Path]:
    """Return the file of each saved tensor."""
    found: dict[str, Path] = {}
    for shard in checkpoint.shards(folder, name):
        with safe_open(folder / shard, "pt") as file:
            found |= dict.fromkeys(file.keys(), folder / shard)
    return found


def _equal(file: Path, tensor: str, other_file: Path, other_tensor: str) -> bool:
    with safe_open(file, "pt") as one, safe_open(other_file, "pt") as two:
        a, b = one.get_slice(tensor), two.get_slice(other_tensor)
        if a.get_shape() != b.get_shape():
            return False
        rows = a.get_shape()[0]
        return all(torch.equal(a[at : at + _ROWS], b[at : at + _ROWS]) for at in range(0, rows, _ROWS))
