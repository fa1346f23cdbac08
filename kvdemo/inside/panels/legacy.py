"""Convert the cache of the text to the legacy format and back, save it to a file, and go on from each."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import Cache

from kvdemo.caches import cache_file, legacy_format
from kvdemo.core.errors import BadInput
from kvdemo.inside.panel import CannotShow, Subject, beginning
from kvdemo.models.network.forward import next_token_logits
from kvdemo.strategies.compatibility import cache_support

#: Most tokens that are written from each of the three caches. All but the first take a pass each.
STEPS = 5


@torch.inference_mode()
def show(subject: Subject) -> Mapping[str, Any]:
    """Fill a cache with the text, convert and save it, and write greedily from it and from what became of it."""
    model = subject.model
    if reason := legacy_format.unavailable_reason(model) or cache_support.unavailable_reason(model):
        raise CannotShow(f"The cache of {model.id} cannot be written as pairs of keys and values: {reason}")
    ids, note = beginning(model, subject.ids, min(STEPS, subject.request.max_new_tokens))
    subject.check()
    cache = legacy_format.recording(model)
    first = int(next_token_logits(model, ids, cache).argmax())
    pairs = legacy_format.to_legacy(cache)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cache.safetensors"
        try:
            cache_file.write(path, pairs, model, ids)
        except BadInput as error:  # which names a folder of the server
            raise CannotShow("This panel needs a file, and none can be written here.") from error
        file_bytes = path.stat().st_size
        subject.check()
        from_file, _ = cache_file.load(path, model)
    subject.check()
    back = legacy_format.from_legacy(pairs, model)
    shapes = [[list(tensor.shape) for tensor in pair] for pair in pairs]
    tokens, converted, resumed = (_written(subject, held, first) for held in (cache, back, from_file))
    return {
        "layers": len(pairs),
        "shapes": shapes[0],
        "other_shapes": [pair for at, pair in enumerate(shapes) if pair not in shapes[:at] and pair != shapes[0]],
        "bytes": sum(tensor.nbytes for pair in pairs for tensor in pair),
        "file_bytes": file_bytes,
        "note": note,
        "tokens": tokens,
        "pieces": [model.piece(token) for token in tokens],
        "converted": converted,
        "resumed": resumed,
        "same": tokens == converted == resumed,
    }


def _written(subject: Subject, cache: Cache, first: int) -> list[int]:
    """Go on greedily from a cache that does not hold the first token yet."""
    tokens = [first]
    for _ in range(min(STEPS, subject.request.max_new_tokens) - 1):
        subject.check()
        tokens.append(int(next_token_logits(subject.model, tokens[-1:], cache).argmax()))
    return tokens
