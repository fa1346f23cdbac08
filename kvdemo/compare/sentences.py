"""Say in sentences what a comparison found: its headline, and what must be known beside its figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kvdemo.compare.facts import Fact
from kvdemo.compare.validation import Document, plain

#: A fact that differs, and its values in A and B.
Difference = tuple[Fact, Any, Any]


def headline(differences: Sequence[Difference], lanes: Sequence[Mapping[str, Any]]) -> str:
    """Say whether the times can be compared, and what else differs."""
    if not lanes:
        return "Nothing can be compared: no strategy is in both files."
    if not any(lane["metrics"] for lane in lanes):
        return "Nothing can be compared: no strategy has a complete run in both files."
    if work := [field.name for field, _, _ in differences if field.work]:
        return f"The work differs ({', '.join(work)}): the times are shown, and no significance is claimed."
    other = _listed([field.name for field, _, _ in differences])
    unlike = [lane["name"] for lane in lanes if not lane["same_work"]]
    if unlike:
        ending = f"; {other}" if other else ""
        return (
            f"Both were asked for the same work, but wrote different numbers of tokens with {', '.join(unlike)}: "
            f"no significance is claimed there{ending}."
        )
    if other:
        return f"Both ran the same work; {other}."
    return "Both ran the same work, and nothing else that both files state differs."


def _listed(names: Sequence[str]) -> str:
    """Join names as in "the GPU and the dtype differ"; five at most are named."""
    shown = [f"the {name}" for name in names[:5]]
    if len(names) > 5:
        shown = [*shown[:4], f"{len(names) - 4} things more"]
    if len(shown) < 2:
        return "".join(f"{name} differs" for name in shown)
    return f"{', '.join(shown[:-1])} and {shown[-1]} differ"


def states(*documents: Document) -> Iterator[str]:
    """Say of each document whether it is incomplete, or of random weights."""
    for file, document in zip("AB", documents, strict=True):
        status = document.get("status")
        if isinstance(status, str) and status != "done":
            yield f"{file} is not a complete measurement ({plain(status)}): it holds the runs done until then."
        if document["model"].get("random_weights"):
            yield f"{file} ran random weights: its times are those of the model's shape."


def notes(lanes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say what the intervals cover, where there are any."""
    rows = [row for lane in lanes for row in lane["metrics"].values()]
    if any(row["low"] is not None for row in rows):
        yield (
            "The intervals cover the scatter between the runs of one file, not what changes from one session to the "
            "next, such as temperature or other load; and one in twenty equal pairs is called different by chance."
        )
