"""Lookahead: a pass guesses many tokens at once; those that the next pass confirms are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from kvdemo.core.figures import units
from kvdemo.core.picture import Picture
from kvdemo.core.types import Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.base import Job, Strategy, option
from kvdemo.strategies.chooser import greedy
from kvdemo.strategies.draft import verify


class Lookahead(Strategy):
    """Lets the model guess its own next tokens, all in one pass, and keeps those that the next pass confirms.

    A pass over a guess gives the model's next token at each of its positions. As far as the guess was right, these are
    the text. Behind the first wrong token they are still better guesses than those before: solving all positions at
    once, again and again, is a Jacobi iteration, which ends at the text that greedy decoding writes. Tokens that stood
    next to each other in an earlier pass are remembered too, and come back as a guess when the text reaches the ones
    before them. No draft model is needed, and every token is the model's own. From Santilli et al. 2023
    (arXiv:2305.10427) and Fu et al. 2024 (lookahead decoding, arXiv:2402.02057), which runs several such guesses side
    by side in one pass; here it is one. It pays on a GPU, where a pass over ten positions takes as long as one over a
    single position, and where the model repeats itself.
    """

    id = "lookahead"
    name = "Lookahead"
    summary = "The model guesses its own next tokens in one pass and confirms them in the next."
    lossless = True
    picture = Picture(computes="drafted", keeps="all", draft="draft_tokens")

    draft_tokens: int = option(6, "Draft tokens", "Tokens that are guessed at once.", low=1, high=64)

    def unavailable_reason(self, model: LoadedModel) -> str | None:
        return verify.unavailable_reason(model)

    @torch.inference_mode()
    def decode(self, job: Job) -> Iterator[Step]:
        trajectory = _Trajectory()
        yield from verify.draft_and_verify(job, trajectory.guess, self.draft_tokens, trajectory.take_in)

    def remarks(self, steps: Sequence[TimedStep]) -> list[str]:
        passes, drafted, accepted = verify.draft_counts(steps)
        if not drafted:
            return []
        tokens = sum(len(timed.step.choices) for timed in steps[1:])
        return [
            f"{self.info.name} guessed {units.count(drafted, 'token')} and the next passes confirmed {accepted:,} of "
            f"them ({accepted / drafted:.0%}): {units.figures(tokens / passes)} tokens a step in "
            f"{units.count(passes, 'step')} after the prompt."
        ]


class _Trajectory:
    """The guesses of one text: what the last pass wrote after its first wrong guess, and its n-grams."""

    def __init__(self) -> None:
        self._rest: list[int] = []
        self._after: dict[tuple[int, ...], int] = {}

    def take_in(self, rows: Tensor, accepted: int) -> None:
        """Keep what a pass says of the next tokens: its logits, shape (n, vocab), and how many guesses it accepted."""
        written = greedy(rows).tolist()
        self._rest = written[accepted + 1 :]
        self._remember(written)

    def guess(self, written: Sequence[int], most: int) -> list[int]:
        """Guess what comes next: what followed the last tokens in an earlier pass, else the rest of the last pass."""
        self._remember(written[-3:])
        text = list(written[-2:])
        while len(text) < most + 2:
            pair, at = tuple(text[-2:]), len(text) - 2
            following = self._after.get(pair, self._after.get(pair[-1:]))
            if following is None:
                following = self._rest[at] if at < len(self._rest) else text[-1]
            text.append(following)
        return text[2:]

    def _remember(self, ids: Sequence[int]) -> None:
        """Note what follows each token, and each two tokens."""
        for place in range(1, len(ids)):
            self._after[tuple(ids[place - 1 : place])] = ids[place]
            if place > 1:
                self._after[tuple(ids[place - 2 : place])] = ids[place]
