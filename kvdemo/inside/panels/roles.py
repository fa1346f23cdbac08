"""Append a text, and show for a layer which of a past position's query, key and value a new query reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from kvdemo.inside.appended_text import continued
from kvdemo.inside.capture import capture, check_keeps, check_layer
from kvdemo.inside.panel import CannotShow, Subject


def show(subject: Subject) -> Mapping[str, Any]:
    """Record the layer before and after, and count the bytes that are kept and that the queries would add."""
    model, layer = subject.model, subject.request.layer
    check_layer(model, layer)
    texts = continued(subject)
    keeping = [at for at, kept in enumerate(model.layers or ()) if kept.kv_heads]
    subject.check()
    recorded = capture(model, texts.before, {layer, *keeping})
    before = recorded[layer]
    check_keeps(model, layer, before)
    subject.check()
    after = capture(model, texts.after, [layer], weights=len(texts.after) - texts.shared)[layer]
    if after.weights is None:
        raise CannotShow(f"{model.id} gives no attention weights.")
    differences = [
        _by_position(was, now, texts.shared)
        for was, now in (
            (before.queries, after.queries),
            (before.keys, after.keys),
            (before.values, after.values),
        )
    ]
    weights = after.weights[:, 0, : texts.shared].float().mean(0).tolist()  # of the first query that is new
    names = ("position", "query_difference", "key_difference", "value_difference", "weight")
    rows = [
        dict(zip(names, row, strict=True)) | {"piece": model.piece(texts.before[row[0]])}
        for row in zip(range(texts.shared), *differences, weights, strict=True)
    ]
    kept_bytes = query_bytes = 0
    for at in keeping:
        kept, queries = (model.layers or ())[at], recorded[at].queries
        positions = kept.kept(texts.shared)
        kept_bytes += positions * kept.kv_heads * (kept.head_dim + kept.value_dim) * model.dtype.itemsize
        query_bytes += positions * queries.shape[1] * queries.shape[3] * queries.itemsize
    return {
        "layer": layer,
        "layers": model.layer_count,
        "appended": subject.request.append,
        "asking": model.piece(texts.after[texts.shared]),
        "note": texts.note,
        "query_shape": list(after.queries.shape),
        "key_shape": list(after.keys.shape),
        "value_shape": list(after.values.shape),
        "rows": rows,
        "bytes": kept_bytes,
        "query_bytes": query_bytes,
    }


def _by_position(was: Tensor, now: Tensor, shared: int) -> list[float]:
    """Return the largest difference at each shared position of two tensors (1, heads, positions, width)."""
    found: list[float] = (now[:, :, :shared] - was[:, :, :shared]).float().abs().amax(dim=(0, 1, 3)).tolist()
    return found
