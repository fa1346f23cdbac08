"""Write out the formulas of the cache with this model's numbers, for a batch b and a length t.

A formula that has a value is a sum of terms in b and t (`kvdemo.inside.terms`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from kvdemo.core.figures import units
from kvdemo.costs import formulas
from kvdemo.costs.architecture import Architecture, Indexer, Latent, LayerCache
from kvdemo.inside.architecture import architecture_of
from kvdemo.inside.panel import CannotShow, Subject
from kvdemo.inside.terms import Term, as_part, as_sum, capped, looked_at, per_pair, triangle
from kvdemo.models.facts import step_weights
from kvdemo.models.loaded import LoadedModel


def show(subject: Subject) -> Mapping[str, Any]:
    """Fill in the formulas."""
    model, batch, length = subject.model, subject.request.batch, subject.request.length
    arch = architecture_of(model)
    if not any(layer.kv_heads for layer in arch.layers):
        raise CannotShow(f"{model.id} keeps no keys and values, so the formulas of a cache of them do not apply.")
    found = [*_work(arch, model), *_memory(arch, model), *_tensors(arch)]
    return {
        "batch": batch,
        "length": length,
        "formulas": [_filled(formula, batch, length) for formula in found],
    }


def _filled(formula: dict[str, Any], batch: int, length: int) -> dict[str, Any]:
    terms: Sequence[Term] = formula.pop("terms")
    value = formula.pop("value", None)
    if terms:
        value = sum(term.value(batch, length) for term in terms)
    return {**formula, "terms": [term.entry() for term in terms], "value": value}


def _tensors(arch: Architecture) -> Iterator[dict[str, Any]]:
    """State the formulas of shapes and places: the cache's update, the mask, the next position."""
    keys = "; ".join(
        f"{_layers(n)}: (b, {layer.kv_heads}, {_kept(layer)}, {layer.head_dim})"
        for layer, n in arch.kinds
        if layer.kv_heads
    )
    yield {
        "name": "Cache update",
        "formula": "K_t = [K_(t-1); k_t],  V_t = [V_(t-1); v_t]",
        "numbers": f"K after t positions, {keys}",
        "unit": "",
        "terms": [],
        "about": "The new position's key and value are appended to those that are kept; these do not change.",
    }
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
        "as the cache holds. Told another, the model reads the same token as if it stood elsewhere, and may write "
        "another text. A step without the cache reads all t tokens, from place 0 on.",
    }


def _work(arch: Architecture, model: LoadedModel) -> Iterator[dict[str, Any]]:
    """State the formulas of operations: a multiplication and an addition for each weight and each product."""
    indexing = sum(2.0 * n * formulas.index_width(arch, layer) for layer, n in arch.kinds)
    row = [*_rows(arch, arch.attending), *([Term(indexing, 1, 1)] if indexing else [])]
    chunks = any(layer.chunked for layer in arch.layers)
    widths = sorted(
        {arch.latent.key + layer.value_dim if arch.latent else layer.head_dim for layer, _, _ in arch.attending}
    )
    row_width, width = ("2 · (2 · rank + rope)", "2 · (k + v)") if arch.latent else ("4 · d", "4 · d")
    seen, pairs, scores = "t", "t(t+1)/2", ""
    if arch.indexer:
        everywhere = all(layer.window is not None for layer, _, _ in arch.attending)
        seen = capped(arch.indexer.least) if everywhere else f"(t or {capped(arch.indexer.least)})"
        pairs, scores = "chosen pairs", " + indexers · 2 · products of each · " if indexing else ""
    yield {
        "name": "Attention of one row",
        "formula": "softmax(q_t K_t^T / sqrt(d)) V_t",
        "numbers": f"d = {_either(widths)}, heads = {_either(arch.all_heads)}; in FLOPs b · ({as_sum(row)})",
        "unit": "FLOPs",
        "terms": row,
        "about": "A cached step has one query a head: one row of the triangle, as long as the text, in each layer."
        + (" Chunks are written as windows here: past the first one, there is less to do." if chunks else "")
        + (_about_latent(arch.latent, [layer for layer, _, _ in arch.attending]) if arch.latent else "")
        + (_about_indexer(arch.indexer) if arch.indexer else ""),
    }
    yield _feed_forward(model)
    last = formulas.last_parameters(arch)
    multiplied = formulas.multiplied_parameters(arch)
    dense = multiplied - last
    projected = Term(2.0 * last, 1, 0, part="weights")
    cached = [Term(2.0 * dense, 1, 0, part="weights"), projected, *as_part(row, "attention")]
    yield {
        "name": "A step with the cache",
        "formula": f"2 · N + layers · heads · {row_width} · {seen}{scores and scores + 't'}, for each sequence",
        "numbers": f"N = {multiplied:,}; b · ({as_sum(cached)})",
        "unit": "FLOPs",
        "terms": cached,
        "about": "One position goes through the weights, whatever the length; only its row of attention grows."
        + (_about_spare(arch.spare_parameters) if arch.spare_parameters else "")
        + (_about_repeated(arch.repeated_parameters) if arch.repeated_parameters else ""),
    }
    whole = [
        Term(2.0 * dense, 1, 1, part="weights"),
        projected,
        *as_part(
            [
                term
                for layer, n, late in arch.attending
                if not late
                for term in triangle(per_pair(arch, layer, n), looked_at(layer))
            ],
            "attention",
        ),
        *as_part(triangle(indexing) if indexing else [], "attention"),
        *as_part(_rows(arch, [kind for kind in arch.attending if kind[2]]), "attention"),
    ]
    yield {
        "name": "The same step without it",
        "formula": f"2 · N · t + layers · heads · {width} · {pairs}{scores and scores + 't(t+1)/2'}, for each sequence",
        "numbers": f"N = {multiplied:,}, {last:,} of them for the last position alone; b · ({as_sum(whole)})",
        "unit": "FLOPs",
        "terms": whole,
        "about": f"All t positions go through the weights again, and {'the indexer' if scores else 'attention'} "
        "computes the whole triangle.",
    }


def _rows(arch: Architecture, attending: Iterable[tuple[LayerCache, int, bool]]) -> list[Term]:
    """Count the operations of the last query with all keys that it may look at."""
    return [Term(per_pair(arch, layer, n, past=True), 1, 1, looked_at(layer)) for layer, n, _ in attending]


def _about_latent(latent: Latent, layers: Sequence[LayerCache]) -> str:
    """Say how the work on a latent is counted."""
    ranks = _either(sorted({layer.head_dim for layer in layers}))
    places = sorted({layer.value_dim for layer in layers})
    return (
        f" Counted is the least, from t = 2 on: queries meet the latent itself (rank = {ranks} numbers, and "
        f"rope = {_either(places)} for the place). transformers computes the keys and values of all t positions from "
        "it in each step, which is much more. Without a cache these are there anyway "
        f"(k = {_either([latent.key + place for place in places])} and v = {latent.value} wide)."
    )


def _about_indexer(indexer: Indexer) -> str:
    """Say how the work of an indexer is counted."""
    counted = "the last term" if indexer.products else "not counted"
    chosen = "how many is not known, and 1 is counted" if indexer.chosen is None else f"{indexer.chosen:,} are counted"
    return (
        f" An indexer chooses the positions that a query looks at: {chosen}. The others are left out, though "
        f"transformers computes and masks them. The indexer's own work, a score for each position, is {counted}."
    )


def _about_spare(parameters: int) -> str:
    """Say that N is the least where a router may choose what has no weights."""
    return f" N is the least: a token may be sent to more experts, of up to {parameters:,} parameters."


def _about_repeated(parameters: int) -> str:
    """Say how many of N are weights that run again."""
    return f" {parameters:,} of N are weights that run again: a position is multiplied with some of them several times."


def _memory(arch: Architecture, model: LoadedModel) -> Iterator[dict[str, Any]]:
    """State the formulas of bytes."""
    itemsize = model.dtype.itemsize
    terms, written = _cached(arch.kinds, itemsize)
    yield {
        "name": "Memory of the cache",
        "formula": "2 · layers · kv_heads · head_dim · bytes · t · b",
        "numbers": written,
        "unit": "bytes",
        "terms": terms,
        "about": "A key and a value for each position in each layer and each key-value head.",
    }
    read, held = model.read_bytes, model.weight_bytes
    terms, written = _cached(arch.read, itemsize)
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
        + (_about_reading(arch.indexer) if arch.indexer else ""),
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


def _cached(kinds: Sequence[tuple[LayerCache, int]], itemsize: int) -> tuple[list[Term], str]:
    """Count the bytes of what layers keep: terms, and the sum with its factors."""
    listed = [(layer, n) for layer, n in kinds if layer.bytes_per_position(itemsize)]
    growing = [Term(n * layer.bytes_per_position(itemsize), 1, 1, layer.window) for layer, n in listed]
    constant = sum(n * (itemsize * layer.state_elements + 4 * layer.float32_elements) for layer, n in kinds)
    parts = [_bytes(layer, n, itemsize) for layer, n in listed]
    states = [f"{constant:,} of states"] if constant else []
    return [*growing, *([Term(constant, 1, 0)] if constant else [])], f"({' + '.join([*parts, *states])}) · b"


def _about_reading(indexer: Indexer) -> str:
    """Say what is counted as read where an indexer chooses positions."""
    own = "its own keys of all positions" if indexer.products else "none of its own keys, which may be pooled"
    return (
        " Where an indexer chooses positions, keys and values of those alone are counted, and "
        f"{own}. transformers reads all that is kept, so its steps take longer for that, too."
    )


def _feed_forward(model: LoadedModel) -> dict[str, Any]:
    """State what a position costs in one feed-forward network; without numbers where the model has no plain one."""
    shared = {"name": "Feed-forward of one position", "formula": "W_2 · act(W_1 · x_t)", "unit": "FLOPs"}
    found = _plain_feed_forward(step_weights.text_modules(model.network, model.id))
    if found is None:
        return shared | {
            "numbers": "",
            "terms": [],
            "about": f"{model.id} has no plain feed-forward network whose weights could be counted: each position may "
            "be sent to a few of several experts.",
        }
    shapes = [tuple(weight.shape) for weight in found.parameters() if weight.ndim == 2]
    written = " + ".join(f"{rows:,} · {columns:,}" for rows, columns in shapes)
    return shared | {
        "numbers": f"b · 2 · ({written})",
        "terms": [Term(2 * sum(rows * columns for rows, columns in shapes), 1, 0)],
        "about": f"It looks at the new position alone, so no past is needed ({type(found).__name__}, one layer).",
    }


def _plain_feed_forward(modules: Sequence[nn.Module]) -> nn.Module | None:
    """Find a feed-forward network by the name of its class, if no layer among the modules has experts."""
    if any("Expert" in type(module).__name__ or "Moe" in type(module).__name__ for module in modules):
        return None
    named = [module for module in modules if type(module).__name__.endswith("MLP")]
    return next((module for module in named if any(weight.ndim == 2 for weight in module.parameters())), None)


def _bytes(layer: LayerCache, layers: int, itemsize: int) -> str:
    t = "t" if layer.window is None else capped(layer.window)
    plain = layer.head_dim == layer.value_dim and not layer.index_elements + layer.index_bytes
    if plain:
        return f"2 · {layers} · {layer.kv_heads} · {layer.head_dim} · {itemsize} · {t}"
    return f"{layers} · {layer.bytes_per_position(itemsize)} · {t}"


def _kept(layer: LayerCache) -> str:
    return "t" if layer.window is None else capped(layer.window)


def _layers(n: int) -> str:
    return f"in {units.count(n, 'layer')}"


def _either(numbers: Sequence[int]) -> str:
    return " or ".join(map(str, numbers))
