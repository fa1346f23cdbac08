"""Encode a text with and without an appended one, and count the tokens that both have in common."""

from __future__ import annotations

from dataclasses import dataclass

from kvdemo.core.figures.units import count
from kvdemo.inside.panel import CannotShow, Subject, beginning
from kvdemo.models.facts import rope

#: Why the chat template is left out.
PLAIN = "The text is read without its chat template here, so that what is appended goes on from it."


@dataclass(frozen=True)
class Continued:
    """A text before and after another is appended: ids, of which both have the first `shared` in common.

    text  the text as the model reads it
    note  one sentence where appending does more than adding tokens; else None
    """

    text: str
    before: list[int]
    after: list[int]
    shared: int
    note: str | None


def continued(subject: Subject) -> Continued:
    """Encode the text with and without what is to be appended. Raises CannotShow where they have no token in common.

    The chat template is left out: words after its end would begin an answer and not continue the text. A text that
    leaves no room for more is shortened to its beginning.
    """
    model, appended = subject.model, subject.request.append
    prompt, before, note = subject.prompt, subject.ids, None
    if prompt.text != subject.request.prompt:
        prompt = model.prompt(subject.request.prompt, chat=False)
        before, note = model.encode(prompt), PLAIN
    after = model.encode(prompt, appended)
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
    return Continued(prompt.text, before, after, shared, note)
