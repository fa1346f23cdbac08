"""Write a value as a sum of terms in a batch b and a length t, so that a reader can move both without asking again.

The sums are those of `kvdemo.costs.formulas`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from kvdemo.costs import formulas
from kvdemo.costs.architecture import Architecture, LayerCache

Part = Literal["weights", "attention", "cache"]


@dataclass(frozen=True)
class Term:
    """`coefficient` · b^batch · c^length, where c is t, or what one of these makes of it.

    cap    at most so many positions count
    chunk  the text is cut into chunks of so many positions, and those of the newest one count
    group  each whole group of so many positions counts as one
    part   what the term counts, where a value is made of several
    """

    coefficient: float
    batch: int
    length: int
    cap: int | None = None
    part: Part | None = None
    chunk: int | None = None
    group: int | None = None

    def value(self, batch: int, length: int) -> float:
        counted = length if self.cap is None else min(length, self.cap)
        if self.chunk is not None:
            counted = (length - 1) % self.chunk + 1
        elif self.group is not None:
            counted = length // self.group
        return self.coefficient * batch**self.batch * counted**self.length

    def entry(self) -> dict[str, float | str]:
        """Build the document's entry."""
        more = {"cap": self.cap, "chunk": self.chunk, "group": self.group, "part": self.part}
        set_ones = {name: value for name, value in more.items() if value is not None}
        return {"coefficient": self.coefficient, "batch": self.batch, "length": self.length, **set_ones}


def per_pair(arch: Architecture, layer: LayerCache, layers: int, *, past: bool = False) -> float:
    """Count the operations of each query with each key: its product and the value's, in all heads of the layers.

    `past` is for one position after others, which matters to a latent (`formulas.product_width`).
    """
    return 2.0 * layers * arch.heads_of(layer) * formulas.product_width(arch, layer, past=past)


def looked_at(layer: LayerCache) -> int | None:
    """Return the positions that a query looks at, at most: those that are kept, and its own."""
    return None if layer.window is None else layer.window + 1


def last_row(each: float, layer: LayerCache) -> Term:
    """Count the operations of the last query with all keys that it may look at, `each` for a pair."""
    if layer.chunked:
        return Term(each, 1, 1, chunk=looked_at(layer))
    return Term(each, 1, 1, looked_at(layer))


def triangle(each: float, window: int | None = None, *, chunked: bool = False) -> list[Term]:
    """Count the operations of all queries with all keys that they may look at, `each` for a pair.

    t(t+1)/2 pairs; with a window of W, min(t, W)(min(t, W)+1)/2 for the first queries, and W for each later one. With
    chunks of W, of which the newest has c positions: (t - c)/W · W(W+1)/2 in the whole ones before, and c(c+1)/2.
    """
    if window is None:
        return [Term(each / 2, 1, 2), Term(each / 2, 1, 1)]
    if chunked:
        newest = [Term(each / 2, 1, 2, chunk=window), Term(-each * window / 2, 1, 1, chunk=window)]
        return [*newest, Term(each * (window + 1) / 2, 1, 1)]
    ramp = [Term(each / 2, 1, 2, window), Term(each / 2 - each * window, 1, 1, window)]
    return [*ramp, Term(each * window, 1, 1)]


def as_part(terms: Sequence[Term], part: Part) -> list[Term]:
    """Return the same terms as a part of a value."""
    return [replace(term, part=part) for term in terms]


def as_sum(terms: Sequence[Term]) -> str:
    """Write a sum of terms in t."""
    parts = []
    for term in terms:
        t = "t" if term.cap is None else capped(term.cap)
        if term.chunk is not None:
            t = in_chunk(term.chunk)
        power = {0: "", 1: f" · {t}", 2: f" · {t}²"}[term.length]
        parts.append(f"{term.coefficient:,.0f}{power}")
    return " + ".join(parts).replace("+ -", "- ")


def in_chunk(size: int) -> str:
    """Write how many positions the newest chunk has, of a text that is cut into chunks of so many."""
    return f"((t - 1) mod {size} + 1)"


def capped(most: int) -> str:
    """Write t where a layer keeps no more than so many positions: W - 1 of a window of W (`LayerCache.window`)."""
    return f"min(t, {most})"
