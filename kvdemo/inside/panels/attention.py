"""Show the attention weights of one head of one layer over the text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kvdemo.inside.capture import capture, check_layer, heads
from kvdemo.inside.decoding import run_ids
from kvdemo.inside.panel import CannotShow, Subject

#: Of a longer text the weights are not sent: they are as many as half the square of its positions.
MOST_POSITIONS = 512
DIGITS = 4


def show(subject: Subject) -> Mapping[str, Any]:
    """Record the weights of every query, of the text and of the tokens after it. The last of these is never run."""
    model, request = subject.model, subject.request
    check_layer(model, request.layer, request.head)
    most = len(subject.ids) + (len(request.continuation) or request.max_new_tokens) - 1
    if most > MOST_POSITIONS:
        raise CannotShow(
            f"With its new tokens the text has {most:,} positions, and attention weights are shown for at most "
            f"{MOST_POSITIONS}: they grow with the square of the positions."
        )
    ids = run_ids(subject)
    subject.check()
    held = capture(model, ids, [request.layer], weights=len(ids), head=request.head)[request.layer]
    if held.weights is None or held.weights.shape[1:] != (len(ids), len(ids)):
        raise CannotShow(f"Layer {request.layer} of {model.id} gives no weight for each query and key of the text.")
    rows = held.weights[0].float().tolist()
    return {
        "layer": request.layer,
        "head": request.head,
        "layers": model.layer_count,
        "heads": heads(model, request.layer),
        "rows": [[round(weight, DIGITS) for weight in row[: number + 1]] for number, row in enumerate(rows)],
    }
