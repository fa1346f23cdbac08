"""Find the layers that keep no keys of their own and attend to those of another layer, as Gemma 3n's and 4's last do.

Those write nothing that a later token reads. So transformers may run them for the positions alone whose logits are
asked for: Gemma 4 does, unless its attention is one that cannot cut its mask. Whether it does shows in a pass. In
Mistral Large 4 any layer may be one, and keep an indexer's keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from kvdemo.costs.architecture import LayerCache
from kvdemo.models.facts import config_numbers, meta_run
from kvdemo.models.facts.meta_run import Trial


def borrowed(trial: Trial, layers: Sequence[LayerCache]) -> tuple[LayerCache, ...]:
    """Return for each such layer what the one keeps whose keys it reads.

    A configuration names it for each layer, or it is the last of the layer's type that keeps keys.
    """
    if sources := getattr(trial.text, "kv_source_layers", None):
        return tuple(layers[source] for place, source in enumerate(sources) if not layers[place].kv_heads)
    count = config_numbers.one_number(trial.text, "num_kv_shared_layers") or 0
    if not count or any(layer != LayerCache("state") for layer in layers[-count:]):
        return ()
    own = dict(zip(trial.text.layer_types, layers[:-count], strict=False))
    return tuple(
        replace(own[kind], query_heads=trial.query_heads.get(place, 0))
        for place, kind in enumerate(trial.text.layer_types[-count:], len(layers) - count)
    )


def late(trial: Trial, count: int) -> list[nn.Module]:
    """Return those of the last `count` layers that run, of two positions, for the one alone whose logits are asked."""
    found: list[nn.Module] = []

    def note(layer: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        if given[0].shape[-2] == 1:
            found.append(layer)

    layers = list(trial.network.get_decoder().layers)[-count:] if count else []
    hooks = [layer.register_forward_pre_hook(note) for layer in layers]
    if hooks:
        with meta_run.on_meta():
            trial.network(input_ids=torch.zeros((1, 2), dtype=torch.long), logits_to_keep=1, use_cache=False)
    for hook in hooks:
        hook.remove()
    return found
