"""Say in sentences what a comparison found: its headline, and what must be known beside its figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kvdemo.compare.facts import Fact
from kvdemo.compare.lanes import Change
from kvdemo.compare.validation import Document, plain

#: A fact that differs, and its values in A and B.
Difference = tuple[Fact, Any, Any]


def headline(differences: Sequence[Difference], lanes: Sequence[Mapping[str, Any]], *, ambiguous: bool) -> str:
    """Say whether the times can be compared, and what else differs.

    `ambiguous`: some strategy is in both files, which matters where no lanes are matched.
    """
    if why := _nothing(lanes, ambiguous):
        return f"Nothing can be compared: {why}."
    other = _differ([fact.name for fact, _, _ in differences if not fact.work])
    ending = f"; {other}." if other else "."
    if work := [fact.name for fact, _, _ in differences if fact.work]:
        named = ", ".join(_few(work))
        if any(lane["same_work"] and lane["metrics"] for lane in lanes):
            return f"The work differs in part ({named}): no significance is claimed there{ending}"
        return f"The work differs ({named}): the times are shown, and no significance is claimed."
    unlike = [lane["name"] for lane in lanes if not lane["same_work"]]
    if unlike:
        return (
            f"Both were asked for the same work, but wrote different numbers of tokens with {', '.join(unlike)}: "
            f"no significance is claimed there{ending}"
        )
    if other:
        return f"Both ran the same work; {other}."
    return "Both ran the same work, and nothing else that both files state differs."


def _nothing(lanes: Sequence[Mapping[str, Any]], ambiguous: bool) -> str:
    """Say why nothing can be compared; empty where something can."""
    if any(lane["metrics"] for lane in lanes):
        return ""
    if lanes:
        return "no strategy has a complete run in both files"
    if ambiguous:
        return "the strategies in both files have several lanes there, and none with the same settings"
    return "no strategy is in both files"


def set_differently(changes: Sequence[Change]) -> str:
    """Say what two lanes were set to: "A and B were set differently: window 8 in A and 100 in B." """
    named = [f"{one.called} {_written(one.a)} in A and {_written(one.b)} in B" for one in changes]
    return f"A and B were set differently: {', '.join(_few(named))}."


def _written(value: float | str | None) -> str:
    return "not stated" if value is None else str(value)


def _differ(names: Sequence[str]) -> str:
    """Join names as in "the GPU and the dtype differ"; five at most are named."""
    shown = _few([f"the {name}" for name in names])
    if len(shown) < 2:
        return "".join(f"{name} differs" for name in shown)
    return f"{', '.join(shown[:-1])} and {shown[-1]} differ"


def _few(names: Sequence[str]) -> Sequence[str]:
    """Return five at most, the last of which may count the others."""
    return names if len(names) <= 5 else [*names[:4], f"{len(names) - 4} things more"]


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
