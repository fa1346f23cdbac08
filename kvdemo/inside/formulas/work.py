"""Write the formulas of operations, and which layers do how much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from kvdemo.core.figures import units
from kvdemo.costs import formulas
from kvdemo.costs.architecture import Architecture, Indexer, Latent, LayerCache
from kvdemo.inside.formulas.feed_forward import of_feed_forward
from kvdemo.inside.terms import Term, as_part, as_sum, capped, last_row, looked_at, per_pair, triangle
from kvdemo.models.loaded import LoadedModel


def of_work(arch: Architecture, model: LoadedModel) -> Iterator[dict[str, Any]]:
    """State the formulas of operations: a multiplication and an addition for each weight and each product."""
    indexing = sum(2.0 * n * formulas.index_width(arch, layer) for layer, n in arch.kinds)
    row = [*_rows(arch, arch.attending), *([Term(indexing, 1, 1)] if indexing else [])]
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
        "about": "A cached step has one query a head: one row of the triangle, "
        + _row_lengths(arch)
        + (_about_latent(arch.latent, [layer for layer, _, _ in arch.attending]) if arch.latent else "")
        + (_about_indexer(arch.indexer) if arch.indexer else ""),
    }
    yield of_feed_forward(model)
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
                for term in triangle(per_pair(arch, layer, n), looked_at(layer), chunked=layer.chunked)
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


def _row_lengths(arch: Architecture) -> str:
    """Say how long the row of a query is, and in how many layers."""
    lengths: Counter[str] = Counter()
    for layer, n, _ in arch.attending:
        window = "as long as what the indexer chooses" if layer.sparse else "as long as the window at most"
        said = "as long as the text" if layer.window is None else window
        lengths["as long as the newest chunk" if layer.chunked else said] += n
    if len(lengths) == 1:
        return f"{next(iter(lengths))}, in each layer."
    return ", ".join(f"{said} in {units.count(n, 'layer')}" for said, n in lengths.items()) + "."


def _rows(arch: Architecture, attending: Iterable[tuple[LayerCache, int, bool]]) -> list[Term]:
    """Count the operations of the last query with all keys that it may look at."""
    return [last_row(per_pair(arch, layer, n, past=True), layer) for layer, n, _ in attending]


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


def _either(numbers: Sequence[int]) -> str:
    return " or ".join(map(str, numbers))
