"""Run a strategy on a text that is prescribed token by token, for a trial."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from kvdemo.core.types import Choice, Step
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.text.codec import Prompt
from kvdemo.samplers import Rule
from kvdemo.strategies.base import Job
from kvdemo.strategies.chooser import Chooser, Picked, record
from kvdemo.strategies.compatibility.reference import Text, distance, logprobs

Decode = Callable[[Job], Iterator[Step]]

# Places that a lane is promised beyond what it writes: a cache that is reserved has empty ones too.
_ROOM = 3


class Script(Chooser):
    """Chooses the tokens that are prescribed. `seen` is what each was chosen from, as log-probabilities."""

    def __init__(self, tokens: Sequence[int], device: torch.device) -> None:
        super().__init__(Rule(), device)
        self.plain = False  # each token is asked for
        self._tokens = tokens
        self.seen: list[Tensor] = []

    def due(self, ahead: int) -> int | None:
        """Return the token that is chosen after `ahead` others; None after the last."""
        at = len(self.seen) + ahead
        return self._tokens[at] if at < len(self._tokens) else None

    def __call__(self, logits: Tensor) -> Picked:
        due = self.due(0)
        token = int(logits.argmax()) if due is None else due
        self.seen.append(logits.float().log_softmax(-1).cpu())
        return Picked(token, ids=torch.tensor([token], device=logits.device), logits=logits)


class ScriptedLane:
    """A strategy at work on one text."""

    def __init__(self, model: LoadedModel, text: Text, decode: Decode) -> None:
        self._model, self._text = model, text
        self._choose = Script(text.script, model.device)
        self._choices: list[Choice] = []
        room = (model.context_length or 10**6) - len(text.prompt)
        job = Job(
            model=model,
            prompt=Prompt("", special=False),
            encode=lambda _: list(text.prompt),
            choose=self._choose,
            max_new_tokens=max(1, min(len(text.script) + _ROOM, room)),
        )
        self._steps = iter(decode(job))

    def step(self) -> bool:
        """Take a step; False if there are no more to take."""
        if len(self._choices) >= len(self._text.script):
            return False
        step = next(self._steps, None)
        self._choices += record(step).choices if step else ()
        return step is not None

    def apart(self, rows: Tensor) -> list[float]:
        """Measure how far each token's log-probabilities are from those without a cache, known for the script.

        A strategy that chooses by a rule of its own writes another text. Then only the log-probabilities that it
        states for its tokens can be compared with a pass over them.
        """
        written = [choice.token for choice in self._choices]
        known = min(len(written), len(self._choose.seen), len(rows))
        if known and written[:known] == self._text.script[:known]:
            return [distance(*pair) for pair in zip(self._choose.seen[:known], rows, strict=False)]
        start, ids = len(self._text.prompt) - 1, [*self._text.prompt, *written]
        behind = logprobs(self._model, ids[:-1])[start:]
        return [
            abs(choice.logprob - float(row[choice.token])) for choice, row in zip(self._choices, behind, strict=True)
        ]


def take_turns(lanes: Sequence[ScriptedLane]) -> None:
    """Take a step of each in turns until none takes one more."""
    while [lane for lane in lanes if lane.step()]:
        pass


def half_right(job: Job) -> Callable[[Sequence[int], int], list[int]]:
    """Draft for a trial: the token that is prescribed next, and a wrong one after it."""

    def guess(_written: Sequence[int], most: int) -> list[int]:
        if not isinstance(job.choose, Script):
            raise TypeError("only a trial knows what is right")
        right, behind = (job.choose.due(n) for n in (0, 1))
        wrong = (token for token in job.encode("") if token != behind)
        return [right, *islice(wrong, 1)][:most] if right is not None else []

    return guess
