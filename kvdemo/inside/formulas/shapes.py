"""Write the formulas of shapes and places: what is appended to what, the mask, the next position."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from kvdemo.costs.architecture import Architecture, LayerCache
from kvdemo.inside.terms import Term, capped


def of_shapes(arch: Architecture) -> Iterator[dict[str, Any]]:
    """State the formulas of shapes and places: the cache's update, the mask, the next position."""
    yield {"name": "Cache update", "unit": "", "terms": [], **(_latents if arch.latent else _keys)(arch)}
    yield {
        "name": "Mask",
        "formula": "(batch, past + new)",
        "numbers": "(b, (t - 1) + 1)",
        "unit": "",
        "terms": [],
        "about": "The attention mask has a column for each position that is kept and for each new one.",
    }
    yield {
        "name": "Next position",
        "formula": "position = length of the cache",
        "numbers": "t - 1, counted from 0",
        "unit": "",
        "terms": [Term(1, 0, 1), Term(-1, 0, 0)],
        "about": "A step with the cache reads one token, so it must be told that token's place in the text: as many "
        "as the cache holds. Told another, what uses the place (an embedding of it, or layers that turn queries and "
        "keys by it) reads the same token as if it stood elsewhere, and the model may write another text. A layer "
        "without either (NoPE) reads it alike wherever it stands. A step without the cache reads all t tokens, "
        "from place 0 on.",
    }


def _keys(arch: Architecture) -> dict[str, str]:
    """State what keys and values are appended to, in which layers."""
    kept = (
        f"{where}: (b, {layer.kv_heads}, {_kept(layer)}, {layer.head_dim})" for where, layer in _by_kind(arch.layers)
    )
    return {
        "formula": "K_t = [K_(t-1); k_t],  V_t = [V_(t-1); v_t]",
        "numbers": f"K after t positions, {'; '.join(kept)}",
        "about": "The new position's key and value are appended to those that are kept; these do not change.",
    }


def _latents(arch: Architecture) -> dict[str, str]:
    """State what latents are appended to, in which layers."""
    kept = (
        f"{where}: C (b, {_kept(layer)}, {layer.head_dim})"
        + (f", R (b, {_kept(layer)}, {layer.value_dim})" if layer.value_dim else "")
        for where, layer in _by_kind(arch.layers)
    )
    return {
        "formula": "C_t = [C_(t-1); c_t],  R_t = [R_(t-1); r_t]",
        "numbers": f"after t positions, {'; '.join(kept)}",
        "about": "The new position's latent c, and r beside it for its place, are appended to those that are kept; "
        "these do not change. What each head attends to is computed from them.",
    }


def _by_kind(layers: Sequence[LayerCache]) -> Iterator[tuple[str, LayerCache]]:
    """Name the layers that keep the same, "in layers 0 to 4 and 6", for each way to keep something of a position."""
    places: dict[LayerCache, list[int]] = {}
    for place, layer in enumerate(layers):
        if layer.kv_heads:
            places.setdefault(replace(layer, query_heads=0), []).append(place)
    for layer, found in places.items():
        yield f"in {'layer' if len(found) == 1 else 'layers'} {_numbers(found)}", layer


def _numbers(places: Sequence[int]) -> str:
    """Write sorted numbers, neighbours as a range: 0 to 4, 6 and 7."""
    runs: list[list[int]] = []
    for place in places:
        if runs and place == runs[-1][-1] + 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    parts = [part for run in runs for part in ([f"{run[0]} to {run[-1]}"] if len(run) > 2 else map(str, run))]
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _kept(layer: LayerCache) -> str:
    return "t" if layer.window is None else capped(layer.window)
