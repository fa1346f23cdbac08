"""Write out the formulas of the cache with this model's numbers, for a batch b and a length t.

A formula that has a value is a sum of terms in b and t (`kvdemo.inside.terms`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kvdemo.inside.architecture import architecture_of
from kvdemo.inside.formulas.memory import of_memory
from kvdemo.inside.formulas.shapes import of_shapes
from kvdemo.inside.formulas.work import of_work
from kvdemo.inside.panel import CannotShow, Subject
from kvdemo.inside.terms import Term


def show(subject: Subject) -> Mapping[str, Any]:
    """Fill in the formulas."""
    model, batch, length = subject.model, subject.request.batch, subject.request.length
    arch = architecture_of(model)
    if not any(layer.kv_heads for layer in arch.layers):
        raise CannotShow(f"{model.id} keeps no keys and values, so the formulas of a cache of them do not apply.")
    found = [*of_work(arch, model), *of_memory(arch, model), *of_shapes(arch)]
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
