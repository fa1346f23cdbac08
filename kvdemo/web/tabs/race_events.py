"""Handle the Race tab's events in plain generators: a form goes in, what to show comes out.

None of them knows a component, so a test runs them without a server. race.py says which component shows what.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from kvdemo.core.errors import BadInput, NotNow
from kvdemo.core.events import Finished
from kvdemo.core.figures import units
from kvdemo.core.visitor import NOBODY, Visitor
from kvdemo.web import wire
from kvdemo.web.backend import Backend, Form

log = logging.getLogger(__name__)

ACCIDENT = "Something went wrong on the server, and this race could not go on. The form is as you left it: try again."
POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Frame:
    """The stage's whole text so far, in sheets, and the document once the race is over."""

    sheets: list[str]
    document: Mapping[str, Any] | None = None

    @property
    def text(self) -> str:
        """The sheets as one text."""
        return "".join(self.sheets)


def play(backend: Backend, form: Form, run_id: str, visitor: Visitor = NOBODY) -> Generator[Frame, None, None]:
    """Run one race. Each frame's text begins with the text of the one before.

    Closing this generator abandons the race, which is what a closed tab does. Nothing is raised: what goes wrong
    is said on the stage.
    """
    sheets = [wire.opening(run_id)]
    yield Frame(sheets)
    document = None
    try:
        with closing(backend.race(form, run_id, visitor)) as batches:
            for batch in batches:
                sheets = wire.appended(sheets, wire.lines(batch))
                document = next((event.document for event in batch if isinstance(event, Finished)), document)
                yield Frame(sheets, document)
    except BadInput as error:
        yield Frame(wire.appended(sheets, wire.refusal(error)))
    except Exception:
        log.exception("a race failed")
        yield Frame(wire.appended(sheets, wire.failure(ACCIDENT)))


def model_status(backend: Backend) -> dict[str, Any]:
    """Return the model's status, and once one is loaded why some strategies cannot run on it: `reasons`, by id."""
    status = dict(backend.status())
    if status["state"] != "ready":
        return status
    try:
        reasons = {s["id"]: s["reason"] for s in backend.strategies() if not s.get("available", True)}
    except Exception:
        log.exception("the strategies could not be asked")
        reasons = {}  # the race asks them again
    return {**status, "reasons": reasons}


async def watch(backend: Backend) -> AsyncIterator[dict[str, Any]]:
    """Yield the model's standing now, and each time it changes until there is nothing left to wait for."""
    shown = None
    while True:
        # In a thread: the first time, the strategies are imported for it.
        status = await asyncio.to_thread(model_status, backend)
        if status != shown:
            shown = status
            yield shown
        if status["state"] != "loading":
            return
        await asyncio.sleep(POLL_SECONDS)


#: What is under the token slider before the model's context is known.
NO_LIMIT_YET = "ends here until the limit of the model is known"


@dataclass(frozen=True)
class TokenBudget:
    """What the context leaves for new tokens: the line under the slider, and its maximum where that is known.

    `again` says that the prompt is not counted yet, and that to ask again soon will tell.
    """

    line: str
    maximum: int | None = None
    again: bool = False


def token_budget(backend: Backend, form: Form, visitor: Visitor = NOBODY) -> TokenBudget:
    """Fit the prompt into the model's context."""
    try:
        fit = backend.fit(form, visitor)
    except NotNow as error:
        return TokenBudget(str(error), again=True)
    except BadInput as error:
        return TokenBudget(str(error))
    except Exception:
        log.exception("could not fit the prompt")
        fit = None
    if fit is None:
        return TokenBudget(NO_LIMIT_YET)
    left, prompt, context = fit["max_new_tokens"], fit["prompt_tokens"], fit["context_length"]
    if left < 1:
        return TokenBudget(f"The prompt's {prompt:,} tokens fill the context of {context:,}.")
    return TokenBudget(f"{units.count(prompt, 'prompt token')} of {context:,}: room for {left:,}", left)
