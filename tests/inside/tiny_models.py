"""Loaded models of every tiny configuration, with a tokenizer."""

from __future__ import annotations

import functools

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from kvdemo.models.loaded import LoadedModel
from tests.models.tiny_configs import tiny
from tests.tiny_models import byte_level_tokenizer, loaded

TOKENIZER = byte_level_tokenizer()


@functools.cache
def network(name: str, attention: str | None = None) -> PreTrainedModel:
    """The network of a tiny configuration, with the tokenizer's vocabulary and weights that depend on nothing else."""
    config = tiny(name)
    for vocabulary in ("vocab_size", "vocab_size_per_layer_input"):
        if hasattr(config, vocabulary):
            setattr(config, vocabulary, len(TOKENIZER))
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()


@functools.cache
def model(name: str) -> LoadedModel:
    return loaded(name, network(name), TOKENIZER)
