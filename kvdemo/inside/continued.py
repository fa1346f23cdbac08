"""Encode a text before and after another is appended, and tell what both have in common."""

from __future__ import annotations

from dataclasses import dataclass

from kvdemo.core.units import count
from kvdemo.inside.panel import CannotShow, Subject, beginning
from kvdemo.models.facts import rope


@dataclass(frozen=True)
class Continued:
    """A text before and after another is appended: ids, of which both have the first `shared` in common.

    note  one sentence where appending does more than adding tokens; else None
    """

    before: list[int]
    after: list[int]
    shared: int
    note: str | None


def continued(subject: Subject) -> Continued:
    """Encode the text with and without what is to be appended. Raises CannotShow where they have no token in common.

    Of a text that leaves no room for more, the beginning is taken.
    """
    model, appended = subject.model, subject.request.append
    before, after = subject.ids, model.encode(subject.prompt, appended)
    pairs = zip(before, after, strict=False)
    shared = next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(before), len(after)))
    added = after[shared:]
    if not added:
        raise CannotShow("What is appended adds no token: append a word, with a space before it.")
    if not shared:
        raise CannotShow(
            "Appending this changes the first token of the text, so that no position stays the same: begin it with a "
            "space."
        )
    note = None
    if shared < len(before):
        note = (
            f"Written on, the text is cut into other tokens from position {shared} on, so the {count(shared, 'token')} "
            "before it are compared."
        )
    kept, cut = beginning(model, before[:shared], len(added))
    if cut:
        shared, note, before, after = len(kept), cut, kept, kept + added
    if any(len(before) <= line < len(after) for line in rope.switch_lengths(model.config)):
        note = f"{model.id} rotates all positions by other angles in a text of this length, so here its past changes."
    return Continued(before, after, shared, note)
