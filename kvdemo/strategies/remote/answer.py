"""Turn the events of a server's answer into steps, and hold their tokens against the server's own count."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from kvdemo.core.errors import BadInput
from kvdemo.core.figures import units
from kvdemo.core.types import UNKNOWN, Choice, Step
from kvdemo.strategies.remote.named_servers import Engine

if TYPE_CHECKING:
    from kvdemo.strategies.remote.openai_client import Event

_NOT_TOLD = Choice(UNKNOWN, math.nan, UNKNOWN, math.nan)


def steps_of(events: Iterable[Event], engine: Engine, most: int) -> Iterator[Step]:
    """Yield a step for each event with text in it; at the end one for the tokens that had none of their own.

    `most` tokens were asked for: what a server counts beyond them is not believed. Raises BadInput for an answer that
    breaks off, or whose tokens cannot be counted.
    """
    written, total, finish, details = 0, None, None, {}
    for event in events:
        if event.cached is not None:
            details["cached"] = float(event.cached)
        if event.text or event.tokens:
            step = _step(event, most - written, written, details)
            written += len(step.choices)
            yield step
        if event.total is not None:
            total = event.total
        finish = event.finish or finish
    if (silent := min(_uncounted(written, total, finish, engine), most - written)) > 0:
        yield Step((_NOT_TOLD,) * silent, 0, texts=("",) * silent, details={**details, "silent": silent})
    if finish == "length":
        raise BadInput(f"{engine.called} ended the text at a limit of its own: ask for fewer tokens.")


def _step(event: Event, most: int, written: int, details: dict[str, float]) -> Step:
    """Make the tokens of one event: as many as it has log-probabilities, or as the running count grew by, or one.

    `most` is how far the count may grow. One is no guess: an event with text stands for a token at least, and
    `_uncounted` holds the sum against the server's count at the end.
    """
    if event.tokens:
        choices = tuple(Choice(UNKNOWN, logprob, UNKNOWN, math.nan) for logprob in event.logprobs)
    else:
        choices = (_NOT_TOLD,) * max(1, min(most, (event.total or 0) - written))
    spelled = event.tokens if "".join(event.tokens) == event.text else ("",) * (len(choices) - 1) + (event.text,)
    return Step(choices, 0, texts=spelled, details=dict(details))


def _uncounted(written: int, total: int | None, finish: str | None, engine: Engine) -> int:
    """Count tokens beyond those that came with text, as the server counts. Raises BadInput where that cannot be."""
    if total is None and finish is None:
        raise BadInput(f"{engine.called} broke off the text: see that it runs at {engine.variable}, and try again.")
    if total is None:
        raise BadInput(
            f"{engine.called} does not say how many tokens it wrote, and a guess is no figure: use one that reports "
            "usage or log-probabilities."
        )
    if written > total:
        raise BadInput(
            f"{engine.called} sent {units.count(written, 'piece')} of text and counts {units.count(total, 'token')}: "
            "its tokens cannot be timed."
        )
    return total - written
