"""Take a strategy's timed steps up to a token limit or an end of text."""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterator
from dataclasses import replace
from typing import Any

from kvdemo.core.cancellation import CancelToken
from kvdemo.core.events import Ended, FinishReason
from kvdemo.core.types import TimedStep
from kvdemo.engine.remote_steps import until_stopped

LaneEvent = tuple[int, TimedStep] | Ended

log = logging.getLogger(__name__)


class Lane:
    """A strategy's timed steps, where they end, and the device seconds that they have used.

    `preemptible` is False for a lane that another machine computes. That machine does not wait while other lanes have
    their turns, so steps that arrived in the meantime would seem to have taken no time.
    """

    def __init__(
        self, steps: Iterator[TimedStep], max_new_tokens: int, eos_ids: Container[int] = (), *, preemptible: bool = True
    ) -> None:
        self._steps = steps
        self._left = max_new_tokens
        self._eos_ids = eos_ids
        self.preemptible = preemptible
        self.seconds = 0.0
        self.finish_reason: FinishReason | None = None

    def run(self, index: int, stop: CancelToken, describe: Callable[[Exception], str]) -> Iterator[LaneEvent]:
        """Yield `(index, step)` for each step, and `Ended` when there is none to come.

        The lane ends at its limit, at an end of text, where the strategy ends, and before the next step once `stop` is
        set; a lane of another machine does not wait for its next step then. One that raises ends with reason "error"
        and what `describe` makes of the exception.
        """
        error = None
        steps: Any = self._steps if self.preemptible else until_stopped(self._steps, stop)
        while not self.finish_reason:
            if stop.is_set():
                self.finish_reason = "stopped"
                break
            try:
                timed = next(steps, None)
            except Exception as failure:
                # The sentence is shown by the caller. The traceback is for debugging.
                log.debug("lane %d failed", index, exc_info=True)
                self.finish_reason, error = "error", describe(failure)
                break
            if timed is None:
                self.finish_reason = "stopped" if stop.is_set() and not self.preemptible else "eos"
                break
            self.seconds += timed.seconds
            yield index, self._committed(timed)
        if steps is not self._steps:
            steps.close()  # the other machine need not go on
        yield Ended(index, self.finish_reason, error)

    def _committed(self, timed: TimedStep) -> TimedStep:
        """Drop a step's tokens beyond the limit or after an end-of-text token.

        The step keeps its full cost and its positions, because the work for a dropped token was done. Drafts are
        counted up to the end (`Step.first`).
        """
        kept = timed.step.choices[: self._left]
        for n, choice in enumerate(kept, start=1):
            if choice.token in self._eos_ids:
                kept = kept[:n]
                self.finish_reason = "eos"
                break
        self._left -= len(kept)
        if self._left == 0 and self.finish_reason is None:
            self.finish_reason = "length"
        return replace(timed, step=timed.step.first(len(kept)))
