"""Tiny models of the other kinds, behind the word tokenizer: windows of 8 positions, states, ways of their own."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedConfig

from kvdemo.models.loaded import LoadedModel

from ..models.tiny_configs import GROUPED, LAYERS, MAMBA_2, NO_SPECIAL, SIZES, tiny
from ..tiny_models import loaded
from .conftest import WORDS, word_tokenizer

SLIDING = ("mistral", "qwen2", "gemma2", "gemma3", "gpt_oss", "mimo, values narrower than keys")
STATES = ("qwen3_next", "lfm2", "jamba", "falcon_h1")
FULL = ("qwen3", "gpt_neox", "falcon new", "mixtral", "deepseek_v3")

# What makes some of them cheaper here and changes nothing in what they keep: two layers in place of seven, no experts,
# and chunks of a scan that are filled to their size whatever the text's.
CHEAPER: dict[str, dict[str, Any]] = {
    "gemma3": {"num_hidden_layers": 2, "layer_types": ["sliding_attention", "full_attention"]},
    "qwen3_next": {"mlp_only_layers": [0, 1]},
    "falcon_h1": {"mamba_chunk_size": 16},
}

# Models that take a cache in another way than nearly all, or none at all: type and numbers.
ODD: dict[str, tuple[str, dict[str, Any]]] = {
    "mamba": ("mamba", {"hidden_size": 32, "state_size": 8, "num_hidden_layers": 2, "time_step_rank": 4}),
    "bamba": ("bamba", GROUPED | MAMBA_2 | {"attn_layer_indices": [1], "mamba_chunk_size": 16}),
    "recurrent_gemma": (
        "recurrent_gemma",
        GROUPED | {"num_hidden_layers": 3, "lru_width": 32, "attention_window_size": 8, "head_dim": 8},
    ),
    "rwkv": ("rwkv", {"hidden_size": 32, "attention_hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}),
    "minimax": (
        "minimax",
        GROUPED
        | {"layer_types": ["linear_attention", "full_attention"], "head_dim": 8, "block_size": 16}
        | {"num_local_experts": 2, "num_experts_per_tok": 1},
    ),
    "openai-gpt": ("openai-gpt", {"n_embd": 32, "n_layer": 2, "n_head": 4}),
    "gpt_neo": (
        "gpt_neo",
        {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "window_size": 8, "intermediate_size": 48}
        | {"attention_types": [[["global", "local"], 1]]},
    ),
    "bert": ("bert", SIZES | LAYERS | {"is_decoder": False}),
    "cpmant": ("cpmant", SIZES | LAYERS),
    "xlm": ("xlm", {"emb_dim": 32, "n_layers": 2, "n_heads": 4}),
    "falcon alibi": (
        "falcon",
        SIZES | LAYERS | {"alibi": True, "multi_query": False, "new_decoder_architecture": False, "bias": True},
    ),
}


@cache
def model_of(name: str) -> LoadedModel:
    """The model with its random weights wide enough for texts that vary."""
    config = _config(name)
    config.vocab_size, config.initializer_range = WORDS, 0.2
    torch.manual_seed(0)
    return loaded(f"tiny-{name}", AutoModelForCausalLM.from_config(config).eval(), word_tokenizer())


def _config(name: str) -> PreTrainedConfig:
    if name in ODD:
        return odd(name)
    config = tiny(name)
    config.update(CHEAPER.get(name, {}))
    return config


def odd(name: str) -> PreTrainedConfig:
    kind, numbers = ODD[name]
    return CONFIG_MAPPING[kind](**numbers, **NO_SPECIAL)
