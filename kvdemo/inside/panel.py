"""Define what a panel is given to work with, and how it says that it cannot be shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kvdemo.core.cancellation import CancelToken
from kvdemo.core.figures.units import count
from kvdemo.core.settings.inside import MOST_SHOWN_TOKENS, InsideRequest
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.text.codec import Prompt


class CannotShow(Exception):
    """A panel cannot be shown for this model or this text. The message is one sentence that says why."""


class Stopped(Exception):
    """The run was stopped while a panel was computed."""


@dataclass(frozen=True)
class Subject:
    """What the panels are about: one text on one model.

    ids   the prompt's tokens, at least one
    stop  checked by `check` before each forward pass
    tell    takes a sentence on what is being done, before work that takes long
    partly  takes the panel as far as it is computed, where it grows
    written  the tokens that the model wrote after the text, once a panel has decoded them all; shared by the panels
    """

    model: LoadedModel
    prompt: Prompt
    ids: list[int]
    request: InsideRequest
    stop: CancelToken
    tell: Callable[[str], None]
    partly: Callable[[Mapping[str, Any]], None] = lambda _: None
    written: list[int] = field(default_factory=list)

    @property
    def run_ids(self) -> list[int]:
        """The tokens that go through the model: the text, and those after it but for the last, if they are given."""
        return [*self.ids, *self.request.continuation[:-1]]

    def check(self) -> None:
        """Raise Stopped where the run is to stop; to be called before each forward pass."""
        if self.stop.is_set():
            raise Stopped


def beginning(model: LoadedModel, ids: list[int], more: int) -> tuple[list[int], str | None]:
    """Take as many of a text's first tokens as leave room for `more`, and a sentence where that is not the whole text.

    Raises CannotShow where they leave none.
    """
    room = min(model.context_length or MOST_SHOWN_TOKENS, MOST_SHOWN_TOKENS) - more
    if room < 1:
        raise CannotShow(f"{count(more, 'token')} after the text leave no room for it: choose fewer.")
    if len(ids) <= room:
        return ids, None
    return ids[
        :room
    ], f"Only the first {count(room, 'token')} of the text are taken: {count(more, 'token')} follow them."


#: Computes a panel: its entry of `documents.inside.Panels`. Raises CannotShow, and Stopped by way of `Subject.check`.
Show = Callable[[Subject], Mapping[str, Any]]
