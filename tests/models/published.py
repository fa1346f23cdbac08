"""The fields of published config.json files that shape a cache, and what each model keeps of a position in bfloat16.

The files are at huggingface.co/NAME/blob/main/config.json. Bytes a position while no window is full, and past all
windows: 2 B · (key width + value width) · key-value heads, summed over the layers.
"""

from __future__ import annotations

from typing import Any


def sliding(layers: int, every: int) -> list[str]:
    """Every so many layers one that attends to the whole text."""
    return ["sliding_attention" if (n + 1) % every else "full_attention" for n in range(layers)]


def gemma_4(**text: Any) -> dict[str, Any]:
    same = {"model_type": "gemma4_text", "head_dim": 256, "global_head_dim": 512, "vocab_size": 262144}
    return {
        "model_type": "gemma4",
        "architectures": ["Gemma4ForConditionalGeneration"],
        "text_config": same | {"tie_word_embeddings": True, "pad_token_id": 0} | text,
        "vision_config": {"model_type": "gemma4_vision", "hidden_size": 1152, "num_hidden_layers": 27},
    }


def gemma_4_large(**text: Any) -> dict[str, Any]:
    same = {"attention_k_eq_v": True, "sliding_window": 1024, "max_position_embeddings": 262144}
    return gemma_4(**same, hidden_size_per_layer_input=0, num_kv_shared_layers=0, **text)


def deepseek(kind: str, classes: str, **more: Any) -> dict[str, Any]:
    numbers = {"kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128}
    return {"model_type": kind, "architectures": [classes], **numbers, **more}


QWEN_MROPE = {"rope_scaling": {"rope_type": "default", "mrope_interleaved": True, "mrope_section": [24, 20, 20]}}

# name: (fields, bytes a position, bytes a position past all windows)
PUBLISHED: dict[str, tuple[dict[str, Any], int, int]] = {
    "openai/gpt-oss-20b": (
        {
            "model_type": "gpt_oss",
            "architectures": ["GptOssForCausalLM"],
            "num_hidden_layers": 24,
            "num_attention_heads": 64,
            "num_key_value_heads": 8,
            "head_dim": 64,
            "hidden_size": 2880,
            "intermediate_size": 2880,
            "num_local_experts": 32,
            "num_experts_per_tok": 4,
            "sliding_window": 128,
            "layer_types": sliding(24, 2),
            "vocab_size": 201088,
        },
        49_152,
        24_576,
    ),
    "meta-llama/Llama-3.1-405B": (
        {
            "model_type": "llama",
            "architectures": ["LlamaForCausalLM"],
            "num_hidden_layers": 126,
            "num_attention_heads": 128,
            "num_key_value_heads": 8,
            "hidden_size": 16384,
            "intermediate_size": 53248,
            "vocab_size": 128256,
        },
        516_096,
        516_096,
    ),
    "deepseek-ai/DeepSeek-V3": (deepseek("deepseek_v3", "DeepseekV3ForCausalLM", num_hidden_layers=61), 70_272, 70_272),
    # 61 layers · (512 + 64 + 128 of the indexer) · 2 B
    "deepseek-ai/DeepSeek-V3.2": (
        deepseek("deepseek_v32", "DeepseekV32ForCausalLM", num_hidden_layers=61, index_head_dim=128, index_n_heads=64),
        85_888,
        85_888,
    ),
    "zai-org/GLM-5": (
        deepseek(
            "glm_moe_dsa",
            "GlmMoeDsaForCausalLM",
            num_hidden_layers=78,
            hidden_size=6144,
            num_attention_heads=64,
            num_key_value_heads=64,
            qk_nope_head_dim=192,
            v_head_dim=256,
            index_head_dim=128,
            index_n_heads=32,
        ),
        109_824,
        109_824,
    ),
    # 9 full layers of 4 heads, 39 sliding ones of 8; keys 192 wide, values 128
    "XiaomiMiMo/MiMo-V2-Flash": (
        {
            "model_type": "mimo_v2_flash",
            "architectures": ["MiMoV2FlashForCausalLM"],
            "auto_map": {"AutoModelForCausalLM": "modeling_mimo_v2_flash.MiMoV2FlashForCausalLM"},
        },
        222_720,
        23_040,
    ),
    # 15 of 35 layers keep keys of their own: 12 sliding ones, 256 wide, and 3 full ones, 512 wide
    "google/gemma-4-E2B-it": (
        gemma_4(
            num_hidden_layers=35,
            num_kv_shared_layers=20,
            num_attention_heads=8,
            num_key_value_heads=1,
            hidden_size=1536,
            intermediate_size=6144,
            hidden_size_per_layer_input=256,
            sliding_window=512,
            layer_types=sliding(35, 5),
        ),
        18_432,
        6_144,
    ),
    "google/gemma-4-E4B-it": (
        gemma_4(
            num_hidden_layers=42,
            num_kv_shared_layers=18,
            num_attention_heads=8,
            num_key_value_heads=2,
            hidden_size=2560,
            intermediate_size=10240,
            hidden_size_per_layer_input=256,
            sliding_window=512,
            layer_types=sliding(42, 6),
        ),
        57_344,
        16_384,
    ),
    "google/gemma-4-26B-A4B-it": (
        gemma_4_large(
            num_hidden_layers=30,
            num_attention_heads=16,
            num_key_value_heads=8,
            num_global_key_value_heads=2,
            hidden_size=2816,
            intermediate_size=2112,
            enable_moe_block=True,
            num_experts=128,
            top_k_experts=8,
            moe_intermediate_size=704,
            layer_types=sliding(30, 6),
        ),
        225_280,
        20_480,
    ),
    "google/gemma-4-31B-it": (
        gemma_4_large(
            num_hidden_layers=60,
            num_attention_heads=32,
            num_key_value_heads=16,
            num_global_key_value_heads=4,
            hidden_size=5376,
            intermediate_size=21504,
            layer_types=sliding(60, 6),
        ),
        901_120,
        81_920,
    ),
    "google/gemma-3-27b-it": (
        {
            "model_type": "gemma3",
            "architectures": ["Gemma3ForConditionalGeneration"],
            "text_config": {
                "model_type": "gemma3_text",
                "num_hidden_layers": 62,
                "num_attention_heads": 32,
                "num_key_value_heads": 16,
                "head_dim": 128,
                "hidden_size": 5376,
                "intermediate_size": 21504,
                "sliding_window": 1024,
                "query_pre_attn_scalar": 168,
                "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
            },
            "vision_config": {"model_type": "siglip_vision_model", "hidden_size": 1152, "num_hidden_layers": 27},
        },
        507_904,
        81_920,
    ),
    # 36 of 48 layers attend to chunks of 8192
    "meta-llama/Llama-4-Scout-17B-16E-Instruct": (
        {
            "model_type": "llama4",
            "architectures": ["Llama4ForConditionalGeneration"],
            "text_config": {
                "model_type": "llama4_text",
                "num_hidden_layers": 48,
                "num_attention_heads": 40,
                "num_key_value_heads": 8,
                "head_dim": 128,
                "hidden_size": 5120,
                "intermediate_size": 8192,
                "intermediate_size_mlp": 16384,
                "num_local_experts": 16,
                "num_experts_per_tok": 1,
                "interleave_moe_layer_step": 1,
                "attention_chunk_size": 8192,
                "max_position_embeddings": 10485760,
                "no_rope_layers": [],
            },
            "vision_config": {"model_type": "llama4_vision_model"},
        },
        196_608,
        49_152,
    ),
    # 8 of 40 layers look at pictures alone, and keep nothing of a text
    "meta-llama/Llama-3.2-11B-Vision": (
        {
            "model_type": "mllama",
            "architectures": ["MllamaForConditionalGeneration"],
            "text_config": {
                "model_type": "mllama_text_model",
                "num_hidden_layers": 40,
                "cross_attention_layers": [3, 8, 13, 18, 23, 28, 33, 38],
                "num_attention_heads": 32,
                "num_key_value_heads": 8,
                "hidden_size": 4096,
                "intermediate_size": 14336,
                "vocab_size": 128256,
            },
        },
        131_072,
        131_072,
    ),
    "Qwen/Qwen3-VL-8B-Instruct": (
        {
            "model_type": "qwen3_vl",
            "architectures": ["Qwen3VLForConditionalGeneration"],
            "text_config": {
                "model_type": "qwen3_vl_text",
                "num_hidden_layers": 36,
                "num_attention_heads": 32,
                "num_key_value_heads": 8,
                "head_dim": 128,
                "hidden_size": 4096,
                "intermediate_size": 12288,
                "vocab_size": 151936,
                **QWEN_MROPE,
            },
            "vision_config": {"model_type": "qwen3_vl", "depth": 27, "hidden_size": 1152},
            "tie_word_embeddings": False,
        },
        147_456,
        147_456,
    ),
    # the older form of a multimodal configuration: the text part's fields lie beside the vision part
    "Qwen/Qwen2.5-VL-7B-Instruct": (
        {
            "model_type": "qwen2_5_vl",
            "architectures": ["Qwen2_5_VLForConditionalGeneration"],
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "hidden_size": 3584,
            "intermediate_size": 18944,
            "max_window_layers": 28,
            "sliding_window": 32768,
            "use_sliding_window": False,
            "vocab_size": 152064,
            "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
            "vision_config": {"depth": 32, "hidden_size": 1280, "out_hidden_size": 3584},
        },
        57_344,
        57_344,
    ),
    # 10 of 40 layers keep keys, the others states
    "Qwen/Qwen3.5-35B-A3B": (
        {
            "model_type": "qwen3_5_moe",
            "architectures": ["Qwen3_5MoeForConditionalGeneration"],
            "text_config": {
                "model_type": "qwen3_5_moe_text",
                "num_hidden_layers": 40,
                "num_attention_heads": 16,
                "num_key_value_heads": 2,
                "head_dim": 256,
                "hidden_size": 2048,
                "layer_types": [*["linear_attention"] * 3, "full_attention"] * 10,
                "linear_num_key_heads": 16,
                "linear_num_value_heads": 32,
                "linear_key_head_dim": 128,
                "linear_value_head_dim": 128,
                "linear_conv_kernel_dim": 4,
            },
        },
        20_480,
        20_480,
    ),
    "tiiuae/falcon-7b": (
        {
            "model_type": "falcon",
            "architectures": ["FalconForCausalLM"],
            "num_hidden_layers": 32,
            "num_attention_heads": 71,
            "hidden_size": 4544,
            "multi_query": True,
            "new_decoder_architecture": False,
            "parallel_attn": True,
            "alibi": False,
            "vocab_size": 65024,
        },
        8_192,
        8_192,
    ),
    "tiiuae/falcon-40b": (
        {
            "model_type": "falcon",
            "architectures": ["FalconForCausalLM"],
            "num_hidden_layers": 60,
            "num_attention_heads": 128,
            "num_kv_heads": 8,
            "hidden_size": 8192,
            "new_decoder_architecture": True,
            "vocab_size": 65024,
        },
        122_880,
        122_880,
    ),
    "mosaicml/mpt-7b": (
        {
            "model_type": "mpt",
            "architectures": ["MPTForCausalLM"],
            "auto_map": {"AutoModelForCausalLM": "modeling_mpt.MPTForCausalLM"},
            "d_model": 4096,
            "n_heads": 32,
            "n_layers": 32,
            "max_seq_len": 2048,
            "vocab_size": 50432,
        },
        524_288,
        524_288,
    ),
}
