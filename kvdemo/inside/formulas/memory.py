"""Write the formulas of bytes: what is kept, and what a step reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kvdemo.costs import formulas
from kvdemo.costs.architecture import Architecture, Indexer, LayerCache
from kvdemo.inside.terms import Term, as_part, capped
from kvdemo.models.loaded import LoadedModel


def of_memory(arch: Architecture, model: LoadedModel) -> Iterator[dict[str, Any]]:
    """State the formulas of bytes."""
    itemsize = model.dtype.itemsize
    terms, written = _cached(arch.kinds, itemsize, latent=arch.latent is not None)
    yield {
        "name": "Memory of the cache",
        "formula": f"{'layers · (rank + rope)' if arch.latent else '2 · layers · kv_heads · head_dim'} · bytes · t · b",
        "numbers": written,
        "unit": "bytes",
        "terms": terms,
        "about": "One latent for each position in each layer, whatever the number of heads, and what tells its place."
        if arch.latent
        else "A key and a value for each position in each layer and each key-value head.",
    }
    read, held = model.read_bytes, model.weight_bytes
    terms, written = _cached(arch.read, itemsize, latent=arch.latent is not None)
    yield {
        "name": "Read in a step with the cache",
        "formula": f"weights read + {'what is looked at of ' if arch.indexer else ''}memory(t)",
        "numbers": f"{read:,} + {written}",
        "unit": "bytes",
        "terms": [Term(read, 0, 0, part="weights"), *as_part(terms, "cache")],
        "about": "A step reads the weights once, for one position as for all. Where that takes longer than the "
        "arithmetic, as with a short text or on a large GPU, computing all positions again is nearly free, and the "
        "cache gains little. Not counted are weights that a step leaves alone: experts that the token is not sent to, "
        "tables of which one row is looked up, and what reads pictures or sound."
        + (_about_reading(arch.indexer, "latents" if arch.latent else "keys and values") if arch.indexer else ""),
    }
    at = formulas.outgrows_weights_at(arch, itemsize, held)
    yield {
        "name": "Cache larger than weights",
        "formula": "smallest t with memory(t) > weights",
        "numbers": f"weights: {held:,} bytes",
        "unit": "positions",
        "terms": [],
        "value": at,
        "about": "The cache of one sequence stops growing before it is as large as the weights."
        if at is None
        else "From this length on, the cache of one sequence takes more memory than the model's weights.",
    }


def _cached(kinds: Sequence[tuple[LayerCache, int]], itemsize: int, *, latent: bool) -> tuple[list[Term], str]:
    """Count the bytes of what layers keep: terms, and the sum with its factors."""
    listed = [(layer, n) for layer, n in kinds if layer.bytes_per_position(itemsize)]
    growing = [
        Term(n * layer.bytes_per_position(itemsize), 1, 1, layer.window)
        if layer.together == 1
        else Term(n * layer.bytes_per_position(itemsize), 1, 1, group=layer.together)
        for layer, n in listed
    ]
    constant = sum(n * (itemsize * layer.state_elements + 4 * layer.float32_elements) for layer, n in kinds)
    parts = [_bytes(layer, n, itemsize, latent=latent) for layer, n in listed]
    states = [f"{constant:,} of states"] if constant else []
    return [*growing, *([Term(constant, 1, 0)] if constant else [])], f"({' + '.join([*parts, *states])}) · b"


def _about_reading(indexer: Indexer, what: str) -> str:
    """Say what is counted as read where an indexer chooses positions."""
    own = "its own keys of all positions" if indexer.products else "none of its own keys, which may be pooled"
    if indexer.together:
        own = f"one key of its own for {indexer.together} positions, which it scores together"
    return (
        f" Where an indexer chooses positions, {what} of those alone are counted, and "
        f"{own}. transformers reads all that is kept, so its steps take longer for that, too."
    )


def _bytes(layer: LayerCache, layers: int, itemsize: int, *, latent: bool) -> str:
    t = "t" if layer.window is None else capped(layer.window)
    if layer.together > 1:
        t = f"⌊t / {layer.together}⌋"
    plain = layer.head_dim == layer.value_dim and not layer.index_elements + layer.index_bytes
    if latent and layer.kv_heads and not layer.indexed:
        return f"{layers} · ({layer.head_dim} + {layer.value_dim}) · {itemsize} · {t}"
    if plain:
        return f"2 · {layers} · {layer.kv_heads} · {layer.head_dim} · {itemsize} · {t}"
    return f"{layers} · {layer.bytes_per_position(itemsize)} · {t}"
