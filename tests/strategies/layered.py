"""Tiny models of the other kinds, behind the word tokenizer: sliding windows of 8 positions, states."""

from __future__ import annotations

from functools import cache

import torch
from transformers import AutoModelForCausalLM

from kvdemo.models.loaded import LoadedModel

from ..conftest import loaded
from ..models.tiny_configs import tiny
from .conftest import WORDS, word_tokenizer

SLIDING = ("mistral", "qwen2", "gemma2", "gemma3", "gpt_oss", "mimo, values narrower than keys")
STATES = ("qwen3_next", "lfm2", "jamba", "falcon_h1")
FULL = ("qwen3", "gpt_neox", "falcon new", "mixtral", "deepseek_v3")


@cache
def model_of(name: str) -> LoadedModel:
    """The model with its random weights wide enough for texts that vary."""
    config = tiny(name)
    config.vocab_size, config.initializer_range = WORDS, 0.2
    torch.manual_seed(0)
    return loaded(f"tiny-{name}", AutoModelForCausalLM.from_config(config).eval(), word_tokenizer())
