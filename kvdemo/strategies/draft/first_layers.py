"""Make a smaller model of the first layers of a model: the same weights, the same final norm, the same head."""

from __future__ import annotations

import copy
from dataclasses import replace

from torch import nn
from transformers import PreTrainedModel

from kvdemo.core.errors import BadInput
from kvdemo.models.facts import first_layers_config
from kvdemo.models.loaded import LoadedModel


def first_layers(model: LoadedModel, share: float) -> LoadedModel:
    """Return a model of the first `share` (0 to 1) of the layers, one at least and not all. No weight is copied.

    What the last of them puts out goes through the model's own final norm and head. Raises BadInput where the layers
    are not found in one list.
    """
    total, count = model.layer_count, count_of(model, share)
    path = _path_to_layers(model.network, total)
    if path is None or total < 2:
        raise BadInput(f"the layers of {model.id} are not in one list, so that its first ones cannot be run alone.")
    whole = module = _shallow(model.network)
    whole.config = first_layers_config.of(model.network.config, count)
    for name in path[:-1]:  # their configurations stay: Gemma embeds each token once for every layer, of all
        inner = _shallow(getattr(module, name))
        setattr(module, name, inner)
        module = inner
    setattr(module, path[-1], getattr(module, path[-1])[:count])
    return replace(model, network=whole)


def count_of(model: LoadedModel, share: float) -> int:
    """Count the first `share` (0 to 1) of the layers, one at least and not all."""
    total = model.layer_count
    return max(1, min(total - 1, round(total * share)))


def _path_to_layers(network: PreTrainedModel, total: int) -> list[str] | None:
    """Find the names that lead to the list of all layers; None where there is none or more than one.

    The part for pictures may have a list as long, so only what continues text is searched.
    """
    decoder = network.get_decoder()
    if decoder is network.get_output_embeddings():  # ModernBERT calls its vocabulary projection so
        decoder = network
    at = next(name for name, module in network.named_modules() if module is decoder)
    found = [
        name
        for name, module in decoder.named_modules(prefix=at)
        if isinstance(module, nn.ModuleList) and len(module) == total
    ]
    outer = [name for name in found if not any(name.startswith(f"{other}.") for other in found if other != name)]
    return outer[0].split(".") if len(outer) == 1 else None


def _shallow(module: nn.Module) -> nn.Module:
    """Copy a module that has the same parts as the other, in a dictionary of its own."""
    made = copy.copy(module)
    made._modules = dict(module._modules)
    return made
