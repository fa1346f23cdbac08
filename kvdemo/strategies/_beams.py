"""The search behind `beam_search`: the k likeliest texts so far, extended together, one token a step.

Each step runs the newest token of every beam through the model as one batch. A beam can go on in as many ways as there
are tokens, so k beams have k · vocabulary continuations; the k with the highest summed log-probability become the new
beams. Several of them can come from one beam and none from another, so the rows of the cache are put into the order of
their new owners: a beam that has two children is copied, one that has none is dropped.

All beams have the same length here, so their sums can be compared as they are, and an end-of-text token is a token
like any other: where a text ends is decided by the lane.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache

from kvdemo.core import BadInput, Choice, Pass, Twig
from kvdemo.models.cache_argument import using
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies._decode import cache_bytes


@dataclass(frozen=True, slots=True, eq=False)
class Beam:
    """A text that is kept: `choice` behind the text of `parent`, which is None for the prompt.

    place   the parent's place among the beams of the step before, the best being 0
    score   the sum of the log-probabilities of its tokens
    length  how many tokens it has
    """

    parent: Beam | None
    place: int
    choice: Choice
    score: float
    length: int

    def choices(self, start: int = 0) -> tuple[Choice, ...]:
        """Its tokens in order, from the one at `start` on."""
        found: list[Choice] = []
        beam: Beam | None = self
        while beam is not None and beam.length > start:
            found.append(beam.choice)
            beam = beam.parent
        return tuple(reversed(found))


@dataclass(frozen=True, slots=True)
class Found:
    """What a step of the search came to: its beams, best first, and what it ran and held.

    `greedy` is the text of greedy decoding, as far as it is known: until it was no longer among the beams.
    """

    beams: tuple[Beam, ...]
    greedy: Beam
    ran: Pass
    cache_bytes: int


def search(model: LoadedModel, ids: Sequence[int], width: int) -> Iterator[Found]:
    """Step by step, without an end. The prompt runs once, in one row; every later step runs `width` positions.

    To be called in inference mode. Raises BadInput for logits that are no numbers.
    """
    cache = DynamicCache(config=model.network.config)
    new_ids = torch.tensor([list(ids)], device=model.device)
    scores = torch.zeros(1, device=model.device)
    beams: tuple[Beam | None, ...] = (None,)
    greedy: Beam | None = None
    context = 0
    while True:
        rows, positions = new_ids.shape
        context += positions
        out = model.network(input_ids=new_ids, logits_to_keep=1, **using(model.network, cache))
        logprobs = out.logits[:, -1].float().log_softmax(-1)
        best = (scores[:, None] + logprobs).flatten().topk(width)
        places, tokens = best.indices // logprobs.shape[-1], best.indices % logprobs.shape[-1]
        children = _children(beams, places, tokens, best.values, logprobs)
        if greedy is None or greedy in beams:
            greedy = _greedy_child(greedy, beams.index(greedy), children, logprobs)
        yield Found(children, greedy, Pass(rows, positions, context), cache_bytes(cache))
        if places.tolist() != list(range(len(beams))):
            cache.reorder_cache(places)
        beams, scores, new_ids = children, best.values, tokens[:, None]


def shared(beams: Sequence[Beam]) -> Beam | None:
    """The longest text that all beams begin with; None where that is the prompt alone.

    Two beams never have the same tokens, so they begin alike only where they have the same ancestor.
    """
    ancestors: set[Beam | None] = set(beams)
    while len(ancestors) > 1:
        ancestors = {beam and beam.parent for beam in ancestors}
    return ancestors.pop()


def level(beams: Sequence[Beam]) -> tuple[Twig, ...]:
    """Beams as they are handed on: without the texts behind them, which are in the levels before."""
    return tuple(Twig(beam.place, beam.choice.token, beam.choice.logprob, beam.score) for beam in beams)


def _children(
    beams: Sequence[Beam | None], places: Tensor, tokens: Tensor, scores: Tensor, logprobs: Tensor
) -> tuple[Beam, ...]:
    """The new beams: the token at each place's beam, with its log-probability and the likeliest other token there."""
    top = logprobs.topk(2)
    likeliest, values = top.indices.tolist(), top.values.tolist()
    children = []
    rows = zip(places.tolist(), tokens.tolist(), scores.tolist(), logprobs[places, tokens].tolist(), strict=True)
    for place, token, score, logprob in rows:
        if not math.isfinite(score):
            raise BadInput("The model's logits are not finite numbers in this number format: run it in float32.")
        rival = 1 if likeliest[place][0] == token else 0
        choice = Choice(token, logprob, likeliest[place][rival], values[place][rival])
        children.append(_behind(beams[place], place, choice, score))
    return tuple(children)


def _greedy_child(greedy: Beam | None, place: int, children: Sequence[Beam], logprobs: Tensor) -> Beam:
    """The greedy text with one more token: one of the new beams, or one that was not kept."""
    top = logprobs[place].topk(2)
    (token, rival), (logprob, second) = top.indices.tolist(), top.values.tolist()
    kept = (child for child in children if child.parent is greedy and child.choice.token == token)
    score = (greedy.score if greedy else 0.0) + logprob
    return next(kept, _behind(greedy, place, Choice(token, logprob, rival, second), score))


def _behind(parent: Beam | None, place: int, choice: Choice, score: float) -> Beam:
    return Beam(parent, place, choice, score, parent.length + 1 if parent else 1)
