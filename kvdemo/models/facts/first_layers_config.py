"""Make the configuration of a model's first layers."""

from __future__ import annotations

import copy

from transformers import PreTrainedConfig

from kvdemo.models.facts import config_numbers


def of(config: PreTrainedConfig, count: int) -> PreTrainedConfig:
    """Copy the configuration of a whole, with `count` layers in its text part."""
    made = copy.deepcopy(config)
    text = made.get_text_config(decoder=True)
    left_out = config_numbers.layer_count(text) - count
    text.num_hidden_layers = count
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:count]
    if shared := getattr(text, "num_kv_shared_layers", None):  # the last ones, which read keys of those before
        text.num_kv_shared_layers = max(0, shared - left_out)
    return made
