"""Configurations of tiny models, one for each way in which a model can keep what it has seen. Window: 8 positions."""

from __future__ import annotations

from typing import Any

from transformers import CONFIG_MAPPING, PreTrainedConfig

WINDOW = 8
SIZES = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "pad_token_id": 0}
LAYERS = {"num_hidden_layers": 2}
GROUPED = SIZES | LAYERS | {"num_key_value_heads": 2}
WINDOWED = GROUPED | {"sliding_window": WINDOW, "head_dim": 8}
NO_SPECIAL = {"bos_token_id": 1, "eos_token_id": 2}
MIXTURE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
LATENT = {
    "kv_lora_rank": 16,
    "q_lora_rank": 12,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 8,
    "v_head_dim": 6,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 1,
    "topk_group": 1,
    "moe_intermediate_size": 16,
    "first_k_dense_replace": 1,
    "num_key_value_heads": 4,
}
INDEXER = {"index_head_dim": 8, "index_n_heads": 2, "index_topk": 4}
PER_LAYER = {
    "num_global_key_value_heads": 1,
    "global_head_dim": 16,
    "attention_k_eq_v": True,
    "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
}
GATED_DELTA = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_conv_kernel_dim": 4,
}
MAMBA_2 = {"mamba_d_ssm": 64, "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_n_groups": 1, "mamba_d_state": 8}
ROUTED = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
SPARSE = {"num_local_experts": 4, "num_experts_per_tok": 2}

# name: (model type, its numbers, attention, kinds of layers)
TINY: dict[str, tuple[str, dict[str, Any], str, tuple[str, ...]]] = {
    "gpt2": ("gpt2", {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4}, "multi-head", ("full",)),
    "gpt_neox": ("gpt_neox", SIZES | LAYERS, "multi-head", ("full",)),
    "bloom": ("bloom", {"vocab_size": 64, "hidden_size": 32, "n_layer": 2, "n_head": 4}, "multi-head", ("full",)),
    "mpt": ("mpt", {"vocab_size": 64, "d_model": 32, "n_layers": 2, "n_heads": 4}, "multi-head", ("full",)),
    "phi3": ("phi3", SIZES | LAYERS | {"sliding_window": None}, "multi-head", ("full",)),
    "falcon multi-query": ("falcon", SIZES | LAYERS | {"multi_query": True}, "multi-query", ("full",)),
    "falcon multi-head": ("falcon", SIZES | LAYERS | {"multi_query": False}, "multi-head", ("full",)),
    "falcon new": (
        "falcon",
        SIZES | LAYERS | {"new_decoder_architecture": True, "num_kv_heads": 2},
        "grouped-query",
        ("full",),
    ),
    "gpt_bigcode": (
        "gpt_bigcode",
        {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "multi_query": True},
        "multi-query",
        ("full",),
    ),
    "llama": ("llama", GROUPED, "grouped-query", ("full",)),
    "llama, head_dim stated": ("llama", GROUPED | {"head_dim": 24}, "grouped-query", ("full",)),
    "qwen3": ("qwen3", GROUPED | {"head_dim": 24}, "grouped-query", ("full",)),
    "mistral": ("mistral", WINDOWED, "grouped-query", ("sliding",)),
    "mistral without a window": ("mistral", WINDOWED | {"sliding_window": None}, "grouped-query", ("full",)),
    "qwen2": (
        "qwen2",
        GROUPED | {"sliding_window": WINDOW, "use_sliding_window": True, "max_window_layers": 1},
        "grouped-query",
        ("full", "sliding"),
    ),
    "qwen2, window unused": (
        "qwen2",
        GROUPED | {"sliding_window": WINDOW, "use_sliding_window": False},
        "grouped-query",
        ("full",),
    ),
    "gemma2": ("gemma2", WINDOWED, "grouped-query", ("full", "sliding")),
    "gemma3": ("gemma3_text", WINDOWED | {"num_hidden_layers": 7}, "grouped-query", ("full", "sliding")),
    "laguna, other query heads in its full layer": (
        "laguna",
        WINDOWED
        | MIXTURE
        | {"num_attention_heads_per_layer": [2, 4], "shared_expert_intermediate_size": 16}
        | {"layer_types": ["full_attention", "sliding_attention"]},
        "grouped-query",
        ("full", "sliding"),
    ),
    "gpt_oss": ("gpt_oss", WINDOWED | SPARSE, "grouped-query", ("full", "sliding")),
    "mixtral": ("mixtral", GROUPED | SPARSE | {"sliding_window": None}, "grouped-query", ("full",)),
    "mimo, values narrower than keys": (
        "mimo_v2_flash",
        GROUPED | {"num_key_value_heads": 1, "head_dim": 12, "v_head_dim": 6, "sliding_window": WINDOW} | ROUTED,
        "grouped-query",  # one in the full layers, two in the sliding ones
        ("full", "sliding"),
    ),
    "deepseek_v3": ("deepseek_v3", SIZES | LAYERS | LATENT, "latent", ("full",)),
    "deepseek_v32, an indexer's keys": ("deepseek_v32", SIZES | LAYERS | LATENT | INDEXER, "latent", ("full",)),
    "glm_moe_dsa": ("glm_moe_dsa", SIZES | LAYERS | LATENT | INDEXER, "latent", ("full",)),
    "gemma4, other heads in its full layers": (
        "gemma4_text",
        WINDOWED | PER_LAYER | {"num_hidden_layers": 3, "hidden_size_per_layer_input": 0},
        "grouped-query",  # two in the sliding layers, one in the full one
        ("full", "sliding"),
    ),
    "gemma4, layers that share keys": (
        "gemma4_text",
        WINDOWED
        | {"num_hidden_layers": 4, "num_kv_shared_layers": 2, "hidden_size_per_layer_input": 8}
        | {"vocab_size_per_layer_input": 64, "layer_types": ["sliding_attention", "full_attention"] * 2},
        "grouped-query",
        ("full", "sliding", "state"),
    ),
    "qwen3_next": (
        "qwen3_next",
        GROUPED
        | GATED_DELTA
        | MIXTURE
        | {
            "head_dim": 16,
            "shared_expert_intermediate_size": 16,
            "layer_types": ["linear_attention", "full_attention"],
        },
        "grouped-query",
        ("full", "state"),
    ),
    "lfm2": (
        "lfm2",
        GROUPED | {"layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False},
        "grouped-query",
        ("full", "state"),
    ),
    "jamba": (
        "jamba",
        GROUPED
        | {
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "num_experts": 2,
            "mamba_d_state": 8,
            "mamba_dt_rank": 4,
            "use_mamba_kernels": False,
        },
        "grouped-query",
        ("full", "state"),
    ),
    "falcon_h1": ("falcon_h1", GROUPED | {"head_dim": 8} | MAMBA_2, "grouped-query", ("full",)),
}

# Routers that may choose what has no weights: identities, one of each number, and ZAYA1's choice to skip.
LONGCAT = SIZES | LATENT | {
    "num_layers": 2, "num_hidden_layers": 4, "ffn_hidden_size": 48, "head_dim": 4,
    "expert_ffn_hidden_size": 16,
}  # fmt: skip
ZAYA = GROUPED | {"head_dim": 8, "num_experts": 4, "moe_intermediate_size": 16, "router_hidden_size": 16}


#: One of each way. Where a test runs more kinds than these, it is slow on the others (tests/conftest.py).
AT_HAND = (
    "gpt2", "llama", "gemma3", "deepseek_v3", "gemma4, layers that share keys", "qwen3_next", "falcon_h1",
)  # fmt: skip


# The same where an indexer chooses the positions that are looked at, in ways of its own.
INDEXED: dict[str, tuple[str, dict[str, Any], str, tuple[str, ...]]] = {
    "dots3_note, latents of two ranks": (
        "dots3_note_text",
        SIZES
        | LATENT
        | INDEXER
        | {"num_hidden_layers": 4, "sliding_window": WINDOW, "shared_experts_intermediate_size": 16}
        | {"swa_num_attention_heads": 4, "swa_num_key_value_heads": 4, "swa_q_lora_rank": 12, "swa_kv_lora_rank": 24}
        | {"swa_head_dim": 12, "swa_qk_nope_head_dim": 8, "swa_v_head_dim": 6},
        "latent",
        ("full", "sliding"),
    ),
    "mistral_large4, latents of other layers": (
        "mistral_large4_text",
        SIZES
        | LATENT
        | INDEXER
        | {"num_hidden_layers": 6, "no_rope_layers": [1] * 6, "kv_source_layers": [0, 0, 0, 3, 3, 3]},
        "latent",
        ("full",),
    ),
    "minimax_m3, an indexer of blocks": (
        "minimax_m3_vl_text",
        GROUPED
        | SPARSE
        | {"head_dim": 8, "rotary_dim": 4, "dense_intermediate_size": 48, "shared_intermediate_size": 16}
        | {"index_n_heads": 2, "index_head_dim": 8, "index_block_size": 4, "index_topk_blocks": 2}
        | {"layer_types": ["full_attention", "minimax_m3_sparse"]},
        "grouped-query",
        ("full",),
    ),
    "qwen4_exp, an indexer of groups": (
        "qwen4_exp_text",
        GROUPED
        | GATED_DELTA
        | MIXTURE
        | {"head_dim": 8, "hc_count": 2, "hc_lowrank": 4, "shared_expert_intermediate_size": 16}
        | {"indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 8, "indexer_budget": 8}
        | {"indexer_compress_ratio": 4, "ngram_vocab_size_base": 50, "heads_per_ngram": 2, "split_ngram_parts": 2}
        | {"make_ngram_vocab_size_divisible_by": 4, "layer_types": ["linear_attention", "indexed_attention"]},
        "grouped-query",
        ("full", "state"),
    ),
}


# Queries that look at their own chunk of the text alone.
CHUNKED: dict[str, tuple[str, dict[str, Any], str, tuple[str, ...]]] = {
    "llama4": (
        "llama4_text",
        GROUPED
        | SPARSE
        | {"head_dim": 8, "intermediate_size_mlp": 48, "moe_layers": [1], "num_hidden_layers": 3}
        | {"attention_chunk_size": WINDOW, "no_rope_layers": [1, 1, 0]}
        | {"layer_types": ["chunked_attention", "chunked_attention", "full_attention"]},
        "grouped-query",
        ("full", "sliding"),
    ),
}


def tiny(name: str) -> PreTrainedConfig:
    kind, numbers, _, _ = (TINY | INDEXED | CHUNKED)[name]
    return CONFIG_MAPPING[kind](**numbers, **NO_SPECIAL)
