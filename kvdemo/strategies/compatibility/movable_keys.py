"""Try on a model whether its cached keys can be moved to another position."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import DynamicCache

from kvdemo.caches.rotary import rotate_keys
from kvdemo.models.errors import out_of_memory
from kvdemo.models.facts import rope
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import fitting_cache
from kvdemo.models.network.cache_argument import cache_kwargs
from kvdemo.strategies.compatibility import trial

# A token alone attends to itself whatever its position, so that nothing but its keys may depend on where it is. In
# bfloat16 rounding is less than one per cent of them, another way to turn more than ten.
_TOKENS, _FAR, _TOLERANCE = 4, 100, 0.03


def unavailable_reason(model: LoadedModel) -> str | None:
    """Say why keys of this model cannot be moved; None if they can. Tried on the model."""
    if not hasattr(model.network.get_decoder(), "rotary_emb"):
        return "its positions are not rotary, so a cached key cannot be moved to another position."
    if rope.switch_lengths(model.config):
        return "its rotary positions (longrope) change with the text's length, so keys cannot be moved safely."
    return trial.once(model, "turned keys", lambda: _tried(model))


@torch.inference_mode()
def _tried(model: LoadedModel) -> str | None:
    """Try that tokens here and far off, each alone, differ by a turn of their keys, in every layer."""
    try:
        if _differ_by_a_turn(model):
            return None
        found = "moving a key does not give the key that the model computes there"
    except Exception as error:  # a model's code may raise anything
        if out_of_memory(error):
            raise
        found = trial.failure(model, error, "its keys could not be moved in a first trial")
    return f"{found}: use DynamicCache."


def _differ_by_a_turn(model: LoadedModel) -> bool:
    far = min(_FAR, (model.context_length or _FAR + 1) - 1)
    here, there = (_run_at(model, position).layers for position in (0, far))
    return all(
        _close(rotate_keys(model.network, one.keys, far), other.keys) and _close(one.values, other.values)
        for one, other in zip(here, there, strict=True)
    )


def _run_at(model: LoadedModel, position: int) -> DynamicCache:
    """Run a few texts of one token each."""
    ids = torch.arange(1, _TOKENS + 1, device=model.device)[:, None]
    cache = fitting_cache.dynamic_cache(model.network)
    positions = torch.full_like(ids, position)
    model.network(input_ids=ids, position_ids=positions, logits_to_keep=1, **cache_kwargs(model.network, cache))
    return cache


def _close(one: Tensor, other: Tensor) -> bool:
    difference = torch.linalg.vector_norm(one.float() - other.float())
    return bool(difference <= _TOLERANCE * torch.linalg.vector_norm(other.float()))
