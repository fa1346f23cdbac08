"""Start over where a model's rotary factors change, as `generate()` does with Phi-3.

Keys in a cache were rotated by the factors of the text's length at that time (`models.facts.rope`). When the text
exceeds the length at which they change, once, the cache is dropped and the whole text runs again with the new factors.
That step is as slow as a prefill, and `remarks` says so. No draft reaches beyond that length: its tokens would be
verified with factors that do not hold yet.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kvdemo.core.figures import units
from kvdemo.core.types import TimedStep
from kvdemo.models.facts import rope
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.forward import Ids, on_device


class Factors:
    """Which factors the keys in one cache were turned by.

    lines    lengths of text beyond which others hold; () for nearly all models
    details  of the step that started over: positions run again, and the line; {} for every other
    """

    def __init__(self, model: LoadedModel) -> None:
        self.lines = rope.switch_lengths(model.config)
        self._cached: int | None = None
        self.details: dict[str, float] = {}

    def change(self, length: int) -> bool:
        """Tell whether a pass that makes the text `length` positions long must run all of it, with an empty cache."""
        before, self._cached = self._cached, sum(line < length for line in self.lines)
        changed = before is not None and before != self._cached
        line = max((line for line in self.lines if line < length), default=0)
        self.details = {"run_again": length, "rotary_line": line} if changed else {}
        return changed

    def room(self, length: int, most: int) -> int:
        """Count the drafted tokens, of `most`, that may follow `length` positions: none beyond the next line."""
        return min([most, *(line - length for line in self.lines if line >= length)])


class Reading(Factors):
    """The same, with the text that it needs to start over; kept for models that may have to, and for no others."""

    def __init__(self, model: LoadedModel) -> None:
        super().__init__(model)
        self._model = model
        self._ids = torch.empty(0, dtype=torch.long, device=model.device)

    def start_over(self, new_ids: Ids) -> Tensor | None:
        """Return all ids, shape (n,), where the next pass needs them and an empty cache; None where it does not."""
        if not self.lines:
            return None
        self._ids = torch.cat((self._ids, on_device(self._model, new_ids)))
        return self._ids if self.change(len(self._ids)) else None


def remarks(name: str, steps: Sequence[TimedStep]) -> list[str]:
    """Say which step of a lane ran the text again, how long it took and why."""
    found, tokens = [], 0
    for number, timed in enumerate(steps):
        if "rotary_line" in timed.step.details:
            again, line = (int(timed.step.details[key]) for key in ("run_again", "rotary_line"))
            before = f" (the step before took {units.seconds(steps[number - 1].seconds)})" if number else ""
            found.append(
                f"{name} ran all {units.count(again, 'position')} again at token {tokens + 1:,}, in "
                f"{units.seconds(timed.seconds)}{before}: in a text of more than {units.count(line, 'position')} this "
                "model turns keys by other rotary factors (longrope), so those in the cache did not fit any more."
            )
        tokens += len(timed.step.choices)
    return found
