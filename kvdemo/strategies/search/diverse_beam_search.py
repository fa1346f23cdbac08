"""Follow groups of texts that keep away from each other's tokens (diverse beam search)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

import torch
from torch import Tensor

from kvdemo.core.errors import BadInput
from kvdemo.core.figures import units
from kvdemo.core.types import TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.base import option
from kvdemo.strategies.search import beams
from kvdemo.strategies.search.beam_search import BeamSearch
from kvdemo.strategies.search.beams import Found


class DiverseBeamSearch(BeamSearch):
    """Splits the beams into groups, and makes each group choose other tokens than the groups before it.

    The k texts of a beam search often differ in a word or two. Here group g keeps the continuations with the highest
    sum of log-probabilities minus lambda · n, where n counts how often the groups before it have just chosen the same
    token (Hamming diversity). The penalty decides what is kept at this token; the score of a text stays the sum of its
    log-probabilities, and the best of all groups is the result. The first group pays nothing: it is a beam search of
    its own size, and with one beam a group it is greedy decoding. Each step is still one pass of all beams. It wins
    where several answers are wanted, or where the beams of one group all run into the same corner. It loses in
    score: each group searches with a part of the beams only. The result may change groups until the end, so the text
    comes all at once. Vijayakumar et al. 2016, arXiv:1610.02424.
    """

    id = "diverse_beam_search"
    name = "Diverse beam search"
    summary = "Follows groups of texts that avoid each other's tokens, and keeps the best of all."

    groups: int = option(2, "Groups", "Groups of about equally many beams.", low=2, high=32)
    penalty: float = option(
        0.5, "Penalty lambda", "Taken off for a token, once for each beam before that chose it.", low=0, high=100
    )

    def search(self, model: LoadedModel, ids: Sequence[int]) -> Iterator[Found]:
        if self.groups > self.beams:
            raise BadInput(
                f"{self.name} needs a beam for each group: set beams to {self.groups} or more, or groups to "
                f"{self.beams} or fewer."
            )
        return beams.search(model, ids, self.beams, _Groups(self.beams, self.groups, self.penalty))

    def remarks(self, steps: Sequence[TimedStep]) -> list[str]:
        scores, _ = super().remarks(steps)  # groups share no token before the end
        newest = [len({node.token for node in level}) for timed in steps for level in timed.step.levels]
        held = int(steps[-1].step.details["beams"])
        return [
            scores,
            f"The newest tokens of its {held} beams in {units.count(self.groups, 'group')} were "
            f"{fmean(newest):.1f} different ones on average.",
        ]


class _Groups:
    """Chooses the continuations of a step, group by group; remembers the group of each beam, best beam first."""

    def __init__(self, width: int, groups: int, penalty: float) -> None:
        self._sizes = [width // groups + (number < width % groups) for number in range(groups)]
        self._penalty = penalty
        self._group: Tensor | None = None  # before the first token every group has the prompt
        self._held = [1] * groups

    def __call__(self, totals: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scores of those that are kept, best first, and their places in the flattened `totals`."""
        vocab = totals.shape[-1]
        chosen, numbers = [], []
        taken = torch.zeros(vocab, device=totals.device)
        for number, size in enumerate(self._sizes):
            own = totals - self._penalty * taken
            if self._group is not None:
                own = own.masked_fill((self._group != number)[:, None], -torch.inf)
            kept = self._held[number] = min(size, self._held[number] * vocab)  # a small vocabulary has no more
            best = own.flatten().topk(kept).indices
            taken = taken.index_add(0, best % vocab, torch.ones(kept, device=totals.device))
            chosen.append(best)
            numbers.append(torch.full_like(best, number))
        places = torch.cat(chosen)
        scores, order = totals.flatten()[places].sort(descending=True, stable=True)
        self._group = torch.cat(numbers)[order]
        return scores, places[order]
