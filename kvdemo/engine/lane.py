"""Take a strategy's timed steps up to a token limit or an end of text."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import replace

from kvdemo.core.events import Ended, FinishReason
from kvdemo.core.types import TimedStep


class Lane:
    """A strategy's timed steps, where they end, and the device seconds that they have used.

    `preemptible` is False for one whose steps are made by another machine: it does not stop while others have their
    turns, and what came meanwhile would look as if it had taken no time.
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

    def advance(self) -> TimedStep | None:
        """Take one step; None where the strategy itself has come to the end of its text.

        Tokens beyond the limit or behind an end-of-text token are not committed. The step keeps its full cost and its
        positions: the work for a dropped token was done all the same.
        """
        timed = next(self._steps, None)
        if timed is None:
            self.finish_reason = "eos"
            return None
        self.seconds += timed.seconds
        kept = timed.step.choices[: self._left]
        for n, choice in enumerate(kept, start=1):
            if choice.token in self._eos_ids:
                kept = kept[:n]
                self.finish_reason = "eos"
                break
        self._left -= len(kept)
        if self._left == 0 and self.finish_reason is None:
            self.finish_reason = "length"
        texts = timed.step.texts
        step = replace(timed.step, choices=kept, texts=None if texts is None else texts[: len(kept)])
        return replace(timed, step=step)


LaneEvent = tuple[int, TimedStep] | Ended
