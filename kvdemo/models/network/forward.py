"""Run one forward pass, and count the bytes of a cache: what all strategies share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import Cache

from kvdemo.models.facts import rope
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import cache_layers
from kvdemo.models.network.cache_argument import cache_kwargs

#: Token ids of one row: numbers, or a tensor of shape (n,) that is on the model's device already.
Ids = Sequence[int] | Tensor


def on_device(model: LoadedModel, ids: Ids) -> Tensor:
    """Put ids into a tensor of shape (n,) on the model's device; ids that are a tensor there already stay."""
    return ids if isinstance(ids, Tensor) else torch.tensor(list(ids), device=model.device)


def forward(model: LoadedModel, input_ids: Tensor, cache: Cache | None, keep: int = 1) -> Tensor:
    """Run ids of shape (rows, n) through the model: the logits of the last `keep` positions, (rows, keep, vocab).

    The cache, if there is one, grows by n positions. The model is asked to put only what is kept through the vocabulary
    projection: computing all positions would make the loop without a cache look worse than it is. A few classes compute
    all of them nevertheless, and what is not kept is freed here.
    """
    with rope.pass_lock(model.network):
        out = model.network(input_ids=input_ids, logits_to_keep=keep, **cache_kwargs(model.network, cache))
    logits: Tensor = out.logits
    return logits if logits.shape[1] <= keep else logits[:, -keep:].clone()  # a view would hold all of them


def next_token_logits(model: LoadedModel, ids: Ids, cache: Cache | None = None) -> Tensor:
    """Run new ids through the model: the last position's logits in its number format, shape (vocab,).

    With a cache, `ids` are the positions that it does not hold yet. The model numbers them on from the cache's length,
    attends to what the cache holds, and the cache grows by them. Without one the model starts at position 0 and keeps
    nothing.
    """
    return forward(model, on_device(model, ids)[None], cache)[0, -1]


def cache_bytes(cache: Cache) -> int:
    """Count the bytes of the tensors that a cache keeps for later steps.

    The memory behind them may be larger: after the prompt's pass a layer with a window keeps a view of all keys and
    values, until the next pass copies what it needs.
    """
    return sum(tensor.nbytes for layer in cache.layers for tensor in cache_layers.layer_tensors(layer))
