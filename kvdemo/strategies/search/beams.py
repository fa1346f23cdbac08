"""Search for the likeliest text: extend the k likeliest texts so far (beams) together, one token a step.

Each step runs the newest token of every beam through the model as one batch. A beam can go on in as many ways as there
are tokens, so k beams have k · vocabulary continuations. The k with the highest summed log-probability become the new
beams. Several of them can come from one beam and none from another, so the rows of the cache are reordered: the row of
a beam that has two children is copied, that of a beam without children is dropped.

All beams have the same length here, so their sums can be compared as they are. An end-of-text token is a token like any
other: the lane decides where a text ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kvdemo.core.errors import BadInput
from kvdemo.core.types import BeamNode, Choice, Pass
from kvdemo.models.device import widest
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import fitting_cache
from kvdemo.models.network.forward import cache_bytes, forward
from kvdemo.strategies.longrope import Factors

#: From the sums of all continuations, shape (beams, vocab): the sums of those that are kept, best first, and their
#: places in the flattened tensor.
Keep = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True, eq=False)
class Beam:
    """A text that is kept: `choice` after the text of `parent`, which is None for the prompt.

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
        """Return its tokens in order, from the one at `start` on."""
        found: list[Choice] = []
        beam: Beam | None = self
        while beam is not None and beam.length > start:
            found.append(beam.choice)
            beam = beam.parent
        return tuple(reversed(found))

    @property
    def tokens(self) -> list[int]:
        return [choice.token for choice in self.choices()]


@dataclass(frozen=True, slots=True)
class Found:
    """What a step of the search came to: its beams, best first, and what it ran and held.

    `greedy` is the text of greedy decoding, as far as it is known: until it was no longer among the beams. `details`
    are those of a step that started over (`longrope.Factors`).
    """

    beams: tuple[Beam, ...]
    greedy: Beam
    ran: Pass
    cache_bytes: int
    details: Mapping[str, float]


def search(model: LoadedModel, ids: Sequence[int], width: int, keep: Keep | None = None) -> Iterator[Found]:
    """Search step by step, without an end. The prompt runs once, in one row; later steps run `width` positions.

    `keep` chooses `width` of all continuations; without one, the likeliest are kept. Where there are fewer
    continuations, as after the prompt with a small vocabulary, all are kept. To be called in inference mode.
    Raises BadInput for logits that are no numbers.
    """
    cache = fitting_cache.dynamic_cache(model.network)
    new_ids = torch.tensor([list(ids)], device=model.device)
    scores = torch.zeros(1, device=model.device)
    beams: tuple[Beam | None, ...] = (None,)
    greedy: Beam | None = None
    context, factors = 0, Factors(model)
    while True:
        context += new_ids.shape[1]
        if factors.change(context):
            cache = fitting_cache.dynamic_cache(model.network)
            new_ids = torch.tensor([[*ids, *(beam.tokens if beam else ())] for beam in beams], device=model.device)
        rows, positions = new_ids.shape
        logprobs = forward(model, new_ids, cache)[:, -1].float().log_softmax(-1)
        totals = scores[:, None] + logprobs
        scores, kept_at = keep(totals) if keep else totals.flatten().topk(min(width, totals.numel()))
        places, tokens = kept_at // logprobs.shape[-1], kept_at % logprobs.shape[-1]
        chosen, likeliest = _on_host(places, tokens, scores, logprobs)
        children = _children(beams, chosen, likeliest)
        if greedy is None or greedy in beams:
            greedy = _greedy_child(greedy, likeliest[beams.index(greedy)], children)
        yield Found(children, greedy, Pass(rows, positions, context), cache_bytes(cache), factors.details)
        if [kept.place for kept in chosen] != list(range(len(beams))):
            cache.reorder_cache(places)
        beams, new_ids = children, tokens[:, None]


def shared(beams: Sequence[Beam]) -> Beam | None:
    """Return the longest text that all beams begin with; None where that is the prompt alone.

    Two beams of a group never have the same tokens, so they begin alike only where they have the same ancestor. Groups
    of a diverse search may write the same without one: then less is returned than they share.
    """
    ancestors: set[Beam | None] = set(beams)
    while len(ancestors) > 1:
        ancestors = {beam and beam.parent for beam in ancestors}
    return ancestors.pop()


def level(beams: Sequence[Beam]) -> tuple[BeamNode, ...]:
    """Return beams as they are yielded: without their earlier tokens, which are in the levels before."""
    return tuple(BeamNode(beam.place, beam.choice.token, beam.choice.logprob, beam.score) for beam in beams)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A continuation that is kept: a token after the beam at a place, its log-probability, the sum with it."""

    place: int
    token: int
    score: float
    logprob: float


@dataclass(frozen=True, slots=True)
class _Likeliest:
    """The two likeliest tokens after a beam, with their log-probabilities."""

    tokens: tuple[int, int]
    logprobs: tuple[float, float]

    def beside(self, token: int) -> tuple[int, float]:
        """Find the likeliest token that is not this one, and its log-probability."""
        runner_up = 1 if self.tokens[0] == token else 0
        return self.tokens[runner_up], self.logprobs[runner_up]


def _on_host(places: Tensor, tokens: Tensor, scores: Tensor, logprobs: Tensor) -> tuple[list[_Kept], list[_Likeliest]]:
    """Copy to the host, at once, all that it has to know of a step: what is kept, and each beam's likeliest two.

    The first three have shape (width,), `logprobs` (beams, vocab). Ids are whole numbers below 2**24, which float32 and
    float64 carry exactly.
    """
    top = logprobs.topk(2)
    wide = widest(logprobs.device)
    kept = torch.stack([part.to(wide) for part in (places, tokens, scores, logprobs[places, tokens])], 1)
    best = torch.cat([top.indices.to(wide), top.values.to(wide)], 1)
    numbers = torch.cat((kept, best)).tolist()
    return (
        [_Kept(int(place), int(token), score, logprob) for place, token, score, logprob in numbers[: len(kept)]],
        [_Likeliest((int(a), int(b)), (first, second)) for a, b, first, second in numbers[len(kept) :]],
    )


def _children(
    beams: Sequence[Beam | None], chosen: Sequence[_Kept], likeliest: Sequence[_Likeliest]
) -> tuple[Beam, ...]:
    """Make the new beams: a token at each place's beam, its log-probability, and the likeliest other token there."""
    children = []
    for kept in chosen:
        if not math.isfinite(kept.score):
            raise BadInput("The model's logits are not finite numbers in this number format: run it in float32.")
        choice = Choice(kept.token, kept.logprob, *likeliest[kept.place].beside(kept.token))
        children.append(_behind(beams[kept.place], kept.place, choice, kept.score))
    return tuple(children)


def _greedy_child(greedy: Beam | None, likeliest: _Likeliest, children: Sequence[Beam]) -> Beam:
    """Find the greedy text with one more token: one of the new beams, or one that was not kept."""
    (token, runner_up), (logprob, second) = likeliest.tokens, likeliest.logprobs
    kept = (child for child in children if child.parent is greedy and child.choice.token == token)
    score = (greedy.score if greedy else 0.0) + logprob
    return next(kept, _behind(greedy, 0, Choice(token, logprob, runner_up, second), score))


def _behind(parent: Beam | None, place: int, choice: Choice, score: float) -> Beam:
    return Beam(parent, place, choice, score, parent.length + 1 if parent else 1)
