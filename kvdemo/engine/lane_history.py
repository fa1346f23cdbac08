"""Record what one lane has done so far: the source of every figure, sentence and document."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from kvdemo.core.events import Divergence, Ended
from kvdemo.core.figures.metrics import first_difference
from kvdemo.core.figures.requests import RequestTotals
from kvdemo.core.types import Choice, LaneInfo, TimedStep


@dataclass
class LaneHistory:
    """A lane's steps in order, the text of each token, and how it ended.

    `writes_text` is true for a lane whose strategy hands out text itself, and `works_on_text` if what it reads in the
    next step is that text tokenised again. `candidates` has what each token was chosen from, in the document's form,
    where it was asked for. `divergence` is set once, against the baseline lane; `remarks` and `beams`, the levels of a
    search, at the end. `together` has the figures of equal requests, where the lane has sent several.
    """

    info: LaneInfo
    steps: list[TimedStep] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    candidates: list[dict[str, Any] | None] = field(default_factory=list)
    writes_text: bool = False
    ended: Ended | None = None
    remarks: list[str] = field(default_factory=list)
    beams: list[list[dict[str, Any]]] = field(default_factory=list)
    divergence: Divergence | None = None
    together: RequestTotals | None = None
    _compared: int = 0

    def add(self, timed: TimedStep, texts: tuple[str, ...]) -> None:
        """Add a step and the text of each token that it committed."""
        self.steps.append(timed)
        self.choices += timed.step.choices
        self.tokens += timed.step.tokens
        self.texts += texts
        self.writes_text = timed.step.texts is not None

    def end(self, ended: Ended) -> None:
        """Record how the lane ended, and add the text that its last token had held back."""
        self.ended = ended
        if ended.text:
            self.texts[-1] += ended.text

    @property
    def text(self) -> str:
        """The lane's whole text."""
        return "".join(self.texts)

    @property
    def works_on_text(self) -> bool:
        return self.writes_text and not self.info.elsewhere

    def first_divergence_from(self, baseline: LaneHistory) -> int | None:
        """Find the first index at which both have a token and the tokens differ. Each pair is compared once.

        Where ids are unknown, it is the token that holds the first character in which the texts differ.
        """
        if self.info.elsewhere or baseline.info.elsewhere:
            return self._parts_in_text(baseline)
        index = first_difference(baseline.tokens, self.tokens, self._compared)
        self._compared = min(len(baseline.tokens), len(self.tokens)) if index is None else index
        return index

    def _parts_in_text(self, baseline: LaneHistory) -> int | None:
        mine, theirs = self.comparable_text, baseline.comparable_text
        same = first_difference(mine, theirs)
        if same is None:
            return None
        ends = itertools.accumulate(map(len, self.texts))
        left_out = len(self.text) - len(self.text.lstrip(" "))
        return next(index for index, end in enumerate(ends) if end > left_out + same)

    @property
    def comparable_text(self) -> str:
        """The text to hold against one of another machine: without the space that an answer begins with, which not
        every machine writes, and without half a character at its end.
        """
        return self.text.lstrip(" ").rstrip("\ufffd")
