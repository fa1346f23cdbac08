"""Work out what a token was chosen from, on the device, and read it from the numbers that were copied to the host."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from kvdemo.core.candidates import MODEL, Candidate, Candidates, Stage

#: The scores that each rule left, shape (vocab,), -inf for a token that it cut, by the rule's name; in order.
Stages = Sequence[tuple[str, Tensor]]


def entropy(probabilities: Tensor) -> Tensor:
    """Calculate the entropy of each distribution in bits: shape (..., vocab) -> (...). What cannot happen adds 0."""
    return torch.special.entr(probabilities).sum(-1) / math.log(2)


def numbers(logits: Tensor, ids: Tensor, likeliest: Tensor, stages: Stages) -> list[Tensor]:
    """List all that `read` needs, as tensors on the device.

    logits     the model's, shape (vocab,)
    ids        the chosen token, shape (1,)
    likeliest  the ids of the model's likeliest tokens, shape (k,)
    """
    scores = torch.stack([logits.float(), *(after for _, after in stages)])
    possible, probabilities = scores != -torch.inf, scores.softmax(-1)
    last, own = scores[-1], scores[-1, ids]
    earlier = torch.arange(len(last), device=ids.device) < ids
    ahead = (last > own) | ((last == own) & earlier)
    shown = torch.cat((likeliest, ids))
    table = probabilities[:, shown].where(possible[:, shown], -1.0)  # -1: cut, which is less than a probability of 0
    mass = probabilities[-1].where(ahead, 0).sum()
    return [possible.sum(-1), entropy(probabilities), shown, table.flatten(), ahead.sum()[None], mass[None]]


def read(found: Iterator[float], stages: Stages, most: int, drawn: bool) -> Candidates:
    """Take the numbers of one choice, flattened, and make `Candidates` of them; `most` is how many `likeliest` were."""
    names = [MODEL, *(name for name, _ in stages)]
    survivors, entropies = list(islice(found, len(names))), list(islice(found, len(names)))
    ids = [int(token) for token in islice(found, most + 1)]
    rows = [[None if p < 0 else p for p in islice(found, most + 1)] for _ in names]
    ahead, low = next(found), next(found)
    chosen = ids.index(ids[-1])
    own = rows[-1][-1] or 0.0
    shown = [place for place in range(most) if rows[0][place] is not None]
    if chosen == most:
        shown.append(most)
    return Candidates(
        tuple(Stage(name, int(n), bits) for name, n, bits in zip(names, survivors, entropies, strict=True)),
        tuple(Candidate(ids[place], tuple(row[place] for row in rows)) for place in shown),
        shown.index(chosen),
        int(ahead) + 1,
        (low, min(low + own, 1.0)) if drawn else None,
    )
