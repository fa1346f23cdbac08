"""The pieces that strategies share: one forward pass, the bytes of a cache, the choice of a token."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from transformers import Cache, LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

from kvdemo.core import BadInput, Choice
from kvdemo.models import cache_layers
from kvdemo.models.cache_argument import using
from kvdemo.models.loaded import LoadedModel


def next_token_logits(model: LoadedModel, ids: Sequence[int], cache: Cache | None = None) -> Tensor:
    """One forward pass over new ids; the last position's logits in float32, shape (vocab,).

    With a cache, `ids` are the positions that it does not hold yet: the model gives them the positions that
    follow the cache's length, attends to what the cache holds, and the cache grows by them. Without one the
    model starts at position 0 and keeps nothing. Only the last position goes through the vocabulary
    projection: computing all of them would make the loop without a cache look worse than it is.
    """
    input_ids = torch.tensor([list(ids)], device=model.device)
    out = model.network(input_ids=input_ids, logits_to_keep=1, **using(model.network, cache))
    logits: Tensor = out.logits[0, -1]
    return logits.float()


def cache_bytes(cache: Cache) -> int:
    """Bytes of the tensors that a cache holds now, counted on the tensors themselves."""
    return sum(tensor.nbytes for layer in cache.layers for tensor in cache_layers.tensors(layer))


def chooser(temperature: float, top_p: float, seed: int, device: torch.device) -> Callable[[Tensor], Choice]:
    """A rule that picks a token from logits of shape (vocab,): greedy at temperature 0, else top-p sampling.

    Each lane gets its own rule, with a random generator of its own from the same seed: equal logits then give
    equal tokens in every lane.
    """
    if temperature == 0:
        return lambda logits: _choice(logits, int(logits.argmax()))

    warp = LogitsProcessorList([TemperatureLogitsWarper(temperature)])
    if top_p < 1:
        warp.append(TopPLogitsWarper(top_p))
    generator = torch.Generator(device).manual_seed(seed)

    def sample(logits: Tensor) -> Choice:
        no_ids = torch.empty((1, 0), dtype=torch.long, device=logits.device)  # these warpers look at scores alone
        probabilities = warp(no_ids, logits[None]).softmax(-1)[0]
        return _choice(logits, int(torch.multinomial(probabilities, 1, generator=generator)))

    return sample


def _choice(logits: Tensor, token: int) -> Choice:
    """The chosen token with its log-probability, and the likeliest of the others with its own."""
    logprobs = logits.log_softmax(-1)
    best = logprobs.topk(2)
    values, ids = best.values.tolist(), best.indices.tolist()
    rival = 1 if ids[0] == token else 0
    logprob = float(logprobs[token])
    if not math.isfinite(logprob):
        raise BadInput("The model's logits are not finite numbers in this number format: run it in float32.")
    return Choice(token, logprob, ids[rival], values[rival])
