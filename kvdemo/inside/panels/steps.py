"""Show decoding step by step: what a step computes with a cache and without, and what the cache holds after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kvdemo.core.errors import BadInput
from kvdemo.core.figures.units import count
from kvdemo.costs import formulas
from kvdemo.costs.architecture import Architecture, LayerCache
from kvdemo.inside.architecture import architecture_of
from kvdemo.inside.decoding import Ran, check_cache, check_fit, decoded, given
from kvdemo.inside.panel import CannotShow, Subject
from kvdemo.models.loaded import LoadedModel

#: The first step is shown at once, and the panel again after so many more, or a quarter more of a long run.
SHOWN_AT_A_TIME = 8


def show(subject: Subject) -> Mapping[str, Any]:
    """Decode the text, or take the tokens that are given after it, and count each step."""
    model, request = subject.model, subject.request
    check_cache(model)
    if not request.continuation:
        check_fit(subject)
        subject.tell(f"Decoding {count(request.max_new_tokens, 'token')}")
    panel, due = _Panel(subject), 1
    for ran in given(subject) if request.continuation else decoded(subject):
        panel.add(ran)
        if not request.continuation and len(panel.steps) >= due:
            subject.partly(panel.entry())
            due += max(SHOWN_AT_A_TIME, due // 4)  # what is sent again grows, too
    if not request.continuation:
        subject.written[:] = [step["token"] for step in panel.steps]
    return panel.entry(over=True)


class _Panel:
    """The panel while it grows by a step at a time."""

    def __init__(self, subject: Subject) -> None:
        self._subject, self._model = subject, subject.model
        self._arch = _architecture(subject.model)
        self._seen = widest(subject.model.layers)
        self._stream = subject.model.text_stream()
        self._pieces = [self._stream.push(token) for token in subject.ids]
        self._ran: list[Ran] = []
        self.steps: list[dict[str, Any]] = []

    def add(self, ran: Ran) -> None:
        """Count one more step."""
        before = self.steps[-1] if self.steps else {"products_so_far": 0, "products_all_so_far": 0}
        products = formulas.query_key_pairs(ran.positions, ran.length, self._seen)
        everything = formulas.query_key_pairs(ran.length, ran.length, self._seen)
        self._ran.append(ran)
        self._pieces.append(self._stream.push(ran.token))
        self.steps.append(
            {
                "token": ran.token,
                "length": ran.length,
                "positions": ran.positions,
                "positions_all": ran.length,
                "products": products,
                "products_all": everything,
                "products_so_far": before["products_so_far"] + products,
                "products_all_so_far": before["products_all_so_far"] + everything,
                "cache_bytes": sum(layer.bytes for layer in ran.layers),
                **self._by_formula(ran),
            }
        )

    def _by_formula(self, ran: Ran) -> dict[str, float | None]:
        if self._arch is None:
            return {"formula_bytes": None, "flops": None, "flops_all": None}
        return {
            "formula_bytes": formulas.kv_bytes(self._arch, ran.length, self._model.dtype.itemsize),
            "flops": formulas.step_flops(self._arch, ran.positions, ran.length),
            "flops_all": formulas.step_flops(self._arch, ran.length, ran.length),
        }

    def entry(self, *, over: bool = False) -> dict[str, Any]:
        """Build the document's entry. Text that waits for the rest of a character stands with the last token."""
        prompt, layers = len(self._subject.ids), self._model.layers
        pieces = [*self._pieces[:-1], self._pieces[-1] + self._stream.branch().flush()]
        return {
            "pieces": pieces,
            "tokens": [*self._subject.ids, *(ran.token for ran in self._ran)],
            "prompt_tokens": prompt,
            "ended": self._ended() if over else None,
            "steps": list(self.steps),
            "totals": totals(prompt, [ran.positions for ran in self._ran], self._seen),
            "caches": list(_caches(self._ran, layers)),
            "attends": bool(layers) and all(map(_attends, layers or ())),
            "note": _note(layers, self._seen),
        }

    def _ended(self) -> str:
        if self._subject.request.continuation:
            return "given"
        return "eos" if self._ran[-1].token in self._model.eos_ids else "length"


def widest(layers: Sequence[LayerCache] | None) -> LayerCache:
    """Return the layer whose queries look at the most positions: those are counted. Raises CannotShow without any."""
    if layers is None:
        return LayerCache("full", 1, 1)
    found = [layer for layer in layers if layer.kv_heads]
    if not found:
        raise CannotShow("No layer of this model keeps keys and values, so there are no products of a query and a key.")
    return max(found, key=lambda layer: (layer.window is None, layer.window or 0))


def totals(prompt: int, positions: Sequence[int], layer: LayerCache) -> dict[str, int]:
    """Calculate by closed forms what the steps add up to: products in one head of a layer, and positions.

    A step that runs the whole text again, because rotary factors changed, adds the rows before its last.
    """
    steps, last = len(positions), prompt + len(positions) - 1
    again = [prompt + number for number, ran in enumerate(positions) if number and ran > 1]
    return {
        "products": formulas.query_key_pairs(last, last, layer)
        + sum(formulas.query_key_pairs(length - 1, length - 1, layer) for length in again),
        "products_all": _triangles(last, layer) - _triangles(prompt - 1, layer),
        "positions": formulas.positions_cached(prompt, steps) + sum(length - 1 for length in again),
        "positions_all": formulas.positions_uncached(prompt, steps),
    }


def _triangles(last: int, layer: LayerCache) -> int:
    """Add the triangles of all lengths up to the last: t(t+1)(t+2)/6; beyond a window of W, each later row has W.

    With chunks of W, row t has a triangle for each whole chunk before it, and one for the rest.
    """
    if layer.chunked and layer.window is not None:
        chunk = layer.window + 1
        (whole, rest), one = divmod(last, chunk), chunk * (chunk + 1) // 2
        before = one * (chunk * whole * (whole - 1) // 2 + rest * whole)
        return before + whole * chunk * (chunk + 1) * (chunk + 2) // 6 + rest * (rest + 1) * (rest + 2) // 6
    window = last if layer.window is None else min(last, layer.window + 1)
    beyond = last - window
    ramp = window * (window + 1) * (window + 2) // 6
    return ramp + beyond * window * (window + 1) // 2 + window * beyond * (beyond + 1) // 2


def _architecture(model: LoadedModel) -> Architecture | None:
    try:
        return architecture_of(model)
    except BadInput:
        return None


def _caches(ran: Sequence[Ran], kinds: Sequence[LayerCache] | None) -> Iterator[dict[str, Any]]:
    """Group the layers whose caches had the same shapes and bytes after each step."""
    groups: dict[Any, list[int]] = {}
    for layer in range(len(ran[-1].layers)):
        kind = _kind(kinds[layer]) if kinds else "other"
        groups.setdefault((kind, *(step.layers[layer] for step in ran)), []).append(layer)
    for (kind, *held), layers in groups.items():
        last = held[-1]
        yield {
            "layers": layers,
            "kind": kind,
            "key_shape": last.key_shape and list(last.key_shape),
            "value_shape": last.value_shape and list(last.value_shape),
            "lengths": [one.positions for one in held],
            "bytes": [one.bytes for one in held],
        }


def _kind(layer: LayerCache) -> str:
    return layer.kind if layer.kv_heads or layer.kind == "state" else "other"


def _attends(layer: LayerCache) -> bool:
    """Tell whether each query of a layer looks at all positions before it."""
    return layer.kind == "full" and bool(layer.kv_heads) and not layer.sparse


def _note(layers: Sequence[LayerCache] | None, counted: LayerCache) -> str | None:
    """Say of which layers the counts are, where not all look at the whole text."""
    if layers is None:
        return "What the layers of this model keep follows no known shapes; the counts are those of a plain layer."
    if all(map(_attends, layers)):
        return None
    limited = [layer for layer in layers if layer.kv_heads and layer.window is not None]
    chosen = [layer for layer in layers if layer.kv_heads and layer.sparse]
    without = [layer for layer in layers if not layer.kv_heads]
    windows, chunks = ([x for x in limited if x.chunked == chunked] for chunked in (False, True))
    parts = [
        f"{len(windows)} look at a window of {_sizes(windows)} positions" if windows else "",
        f"{len(chunks)} look at their own chunk of {_sizes(chunks)} positions" if chunks else "",
        f"{len(chosen)} choose the positions that they look at" if chosen else "",
        f"{len(without)} keep no keys of their own" if without else "",
    ]
    size = f"with {'chunks' if counted.chunked else 'a window'} of {_sizes([counted])}"
    whole = "that looks at the whole text" if counted.window is None else size
    return (
        f"The counts are those of a layer {whole}: of {count(len(layers), 'layer')}, {'; '.join(filter(None, parts))}."
    )


def _sizes(layers: Sequence[LayerCache]) -> str:
    """Write how many positions the layers look at, at the most."""
    return " or ".join(str(size + 1) for size in sorted({layer.window or 0 for layer in layers}))
