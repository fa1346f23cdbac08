"""Write what a token was chosen from in the document's form, with the texts of the candidates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kvdemo.core.candidates import Candidates


def to_document(found: Candidates | None, piece: Callable[[int], str]) -> dict[str, Any] | None:
    """Make the document's entry; `piece` gives the text of a token. Six digits are kept."""
    if found is None:
        return None
    return {
        "stages": [
            {"name": stage.name, "survivors": stage.survivors, "entropy": _short(stage.entropy)}
            for stage in found.stages
        ],
        "likeliest": [
            {
                "token": one.token,
                "text": piece(one.token),
                "probabilities": [None if p is None else _short(p) for p in one.probabilities],
                "cut": one.cut,
            }
            for one in found.likeliest
        ],
        "chosen": found.chosen,
        "rank": found.rank,
        "drawn": None if found.drawn is None else [_short(end) for end in found.drawn],
    }


def _short(number: float) -> float:
    return float(f"{number:.6g}")
