"""Loaded models of every tiny configuration, with a tokenizer that reads any text."""

from __future__ import annotations

import functools

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from kvdemo.models.loaded import LoadedModel
from tests.models.tiny_configs import tiny
from tests.strategies.layered import ODD, odd
from tests.tiny_models import byte_level_tokenizer, loaded

TOKENIZER = byte_level_tokenizer()


@functools.cache
def network(name: str, attention: str | None = None, context: int | None = None) -> PreTrainedModel:
    """The network of a tiny configuration, with the tokenizer's vocabulary and weights that depend on nothing else.

    `context` is the most positions that it can hold, where its configuration sets a limit.
    """
    config = odd(name) if name in ODD else tiny(name)
    if name in ODD:
        config.initializer_range = 0.2  # wide enough for a model that reads both ways to be found out
    if context and hasattr(config, "max_position_embeddings"):
        config.max_position_embeddings = context
    for vocabulary in ("vocab_size", "vocab_size_per_layer_input"):
        if hasattr(config, vocabulary):
            setattr(config, vocabulary, len(TOKENIZER))
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()


@functools.cache
def model(name: str, context: int | None = None) -> LoadedModel:
    return loaded(name, network(name, context=context), TOKENIZER)
