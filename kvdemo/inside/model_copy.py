"""Copy a model for an experiment, so that nothing is left on the one that is raced.

transformers adds hooks to a model that is asked for its hidden states and leaves them there. Each step of a later race
would run them, and torch.compile could not compile them.
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace

import torch
from torch import nn

from kvdemo.core.figures import units
from kvdemo.inside.panel import CannotShow
from kvdemo.models import memory
from kvdemo.models.loaded import LoadedModel


def sharing_weights(model: LoadedModel) -> LoadedModel:
    """Copy the modules and share the weights: it takes no memory to speak of."""
    network = model.network
    shared = {id(tensor): tensor for tensor in itertools.chain(network.parameters(), network.buffers())}
    return replace(model, network=copy.deepcopy(network, shared))


def in_format(model: LoadedModel, dtype: torch.dtype) -> LoadedModel:
    """Copy the model with its weights in another number format.

    Buffers, such as the frequencies of rotary positions, stay as they are. Raises CannotShow where there is no memory.
    """
    weights = [weight for weight in model.network.parameters() if weight.is_floating_point()]
    needed, free = sum(weight.numel() for weight in weights) * dtype.itemsize, memory.free_bytes(model.device)
    if free is not None and needed > free:
        raise CannotShow(
            f"A copy of {model.id} in {str(dtype).removeprefix('torch.')} needs {units.megabytes(needed)} of "
            f"memory, and {units.megabytes(free)} are free."
        )
    cast = {id(weight): nn.Parameter(weight.detach().to(dtype), requires_grad=False) for weight in weights}
    return replace(model, network=copy.deepcopy(model.network, cast))
