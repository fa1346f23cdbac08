"""Configurations as transformers saves them: what is pasted is read as what is loaded."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from transformers import CONFIG_MAPPING

from kvdemo.models.facts import architecture, config_check
from tests.models.saved import refusal
from tests.models.tiny_configs import (
    GROUPED,
    INDEXED,
    INDEXER,
    LATENT,
    LAYERS,
    MIXTURE,
    NO_SPECIAL,
    SIZES,
    SPARSE,
    TINY,
)

MIXED: dict[str, Any] = GROUPED | {"layer_types": ["linear_attention", "full_attention"]}
MAMBA = {"mamba_n_heads": 4, "mamba_d_head": 16, "mamba_n_groups": 1, "mamba_d_state": 8, "mamba_expand": 2}
# Families whose files hold what no other family's do: numbers without a word in JSON, and a zero for "none".
ODD: dict[str, tuple[str, dict[str, Any]]] = {
    "no window": ("qwen2_moe", GROUPED | MIXTURE | {"shared_expert_intermediate_size": 16}),
    "no window, no limit": ("bamba", GROUPED | MAMBA | {"attn_layer_indices": [1]}),
    "no limit": ("granitemoehybrid", MIXED | MAMBA | SPARSE | {"shared_intermediate_size": 16}),
    "no limit of a type of its own": (
        "nemotron_h",
        GROUPED
        | {"layers_block_type": ["mamba", "attention"], "mamba_num_heads": 4, "mamba_head_dim": 16, "n_groups": 1}
        | {"ssm_state_size": 8, "head_dim": 8},
    ),
    "no part of a head that is turned": (
        "glm5_next_text",
        SIZES
        | LAYERS
        | LATENT
        | INDEXER
        | {"qk_rope_head_dim": 0, "index_topk": 8, "index_kpool": 4, "linear_head_dim": 8, "linear_num_heads": 4}
        | {"hc_mult": 2, "layer_types": ["indexed_attention"] * 2},
    ),
}
KINDS = {name: (kind, numbers) for name, (kind, numbers, *_) in (TINY | INDEXED).items()} | ODD


@pytest.mark.parametrize("name", KINDS)
def test_a_saved_configuration_is_read_as_the_loaded_one(name: str) -> None:
    kind, numbers = KINDS[name]
    config = CONFIG_MAPPING[kind](**numbers, **NO_SPECIAL)
    saved = config.to_json_string()
    assert architecture.parse(saved) == replace(architecture.from_config(config), name=kind)


def test_numbers_that_transformers_saved_as_objects_are_numbers() -> None:
    limit = [0.0, {"__float__": "Infinity"}]
    saved = {"model_type": "bamba", "time_step_limit": limit, "text_config": {"time_step_limit": limit}}
    for given in (saved, json.dumps(saved)):
        read = config_check.read(given, "It")
        assert read["time_step_limit"] == read["text_config"]["time_step_limit"] == [0.0, math.inf]


@pytest.mark.parametrize("word", ["Infinity", "-Infinity", "NaN"])
@pytest.mark.parametrize("spelling", ["{}", '{{"__float__": "{}"}}'], ids=["word", "object"])
def test_a_number_that_is_none_is_refused_in_either_spelling(word: str, spelling: str) -> None:
    saved = f'{{"model_type": "llama", "rope_theta": {spelling.format(word)}}}'
    assert "'rope_theta': that must be a finite number" in refusal(lambda: config_check.read(saved, "It"))


@pytest.mark.parametrize("used", [{}, {"use_sliding_window": True}], ids=["always", "where it says so"])
def test_a_window_of_0_is_none_only_where_it_is_not_used(used: dict[str, Any]) -> None:
    saved: dict[str, Any] = {"model_type": "qwen2", "sliding_window": 0}
    assert config_check.read(saved | {"use_sliding_window": False}, "It")
    assert "'sliding_window'" in refusal(lambda: config_check.read(saved | used, "It"))
