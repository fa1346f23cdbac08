"""Run one forward pass, and return what the layers put out beside the logits."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from transformers import Cache

from kvdemo.core.errors import BadInput
from kvdemo.models.facts import rope
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.cache_argument import cache_kwargs


def forward_with_states(
    model: LoadedModel, input_ids: Tensor, cache: Cache, layers: Sequence[int]
) -> tuple[Tensor, list[Tensor]]:
    """Run ids of shape (rows, n): the last position's logits, (rows, vocab), and hidden states, (rows, n, hidden) each.

    `layers` says whose: 0 is the embedding, i what layer i puts out, -1 what the head reads, after the final norm.
    The cache grows by n positions. Raises BadInput where the model does not give its hidden states.
    """
    with rope.pass_lock(model.network):
        out = model.network(
            input_ids=input_ids,
            logits_to_keep=1,
            output_hidden_states=list(layers),  # of the others, transformers keeps none
            **cache_kwargs(model.network, cache),
        )
    states: Sequence[Tensor | None] = getattr(out, "hidden_states", None) or ()
    asked = [states[layer] for layer in layers if -len(states) <= layer < len(states)]
    found = [one for one in asked if one is not None and one.shape[:2] == input_ids.shape]
    if len(found) < len(layers):
        raise BadInput("it does not give the hidden states of its layers: use DynamicCache.")
    return out.logits[:, -1], found
