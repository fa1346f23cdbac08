"""Tiny models for more than text, saved as their checkpoints are: the configuration of a whole with its text part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import CONFIG_MAPPING, PreTrainedModel

from .saved import small_tokenizer
from .tiny_configs import GATED_DELTA, MIXTURE, ROUTED

ROWS = 300
NO_SPECIAL = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": 0}
TEXT = {"vocab_size": ROWS, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "head_dim": 8}
TEXT |= {"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.2, **NO_SPECIAL}
MROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 1, 1]}}
QWEN_VISION = {"depth": 1, "hidden_size": 32, "num_heads": 2, "out_hidden_size": 32, "intermediate_size": 32}
VISION = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
VISION |= {"image_size": 16, "patch_size": 4}
LINEAR = {"layer_types": ["linear_attention", "full_attention"]}
PARTIAL = {"rope_parameters": MROPE["rope_parameters"] | {"partial_rotary_factor": 1.0}}
CHUNKED = {"layer_types": ["chunked_attention", "full_attention"], "attention_chunk_size": 8, "no_rope_layers": [1, 0]}
CHUNKED |= {"num_local_experts": 4, "intermediate_size_mlp": 48, "moe_layers": [1]}
SLIDING = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 8}

# type: (the class that it is saved from, its text part's numbers, its vision part's)
WRAPPERS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "qwen2_5_vl": ("Qwen2_5_VLForConditionalGeneration", MROPE, QWEN_VISION),
    "qwen3_vl": ("Qwen3VLForConditionalGeneration", MROPE, QWEN_VISION | {"num_position_embeddings": 16}),
    "qwen3_5": ("Qwen3_5ForConditionalGeneration", PARTIAL | LINEAR | GATED_DELTA, QWEN_VISION),
    "qwen3_5_moe": (
        "Qwen3_5MoeForConditionalGeneration",
        PARTIAL | LINEAR | GATED_DELTA | MIXTURE | {"shared_expert_intermediate_size": 16},
        QWEN_VISION,
    ),
    "llama4": ("Llama4ForConditionalGeneration", CHUNKED, VISION | {"vision_output_dim": 32}),
    "gemma3": ("Gemma3ForConditionalGeneration", SLIDING, VISION),
    "gemma4": (
        "Gemma4ForConditionalGeneration",
        SLIDING | {"global_head_dim": 16, "hidden_size_per_layer_input": 0},
        VISION | {"head_dim": 16, "global_head_dim": 16, "num_key_value_heads": 2},
    ),
    "step3p7": (
        "Step3p7ForConditionalGeneration",
        SLIDING
        | ROUTED
        | {"share_expert_dim": 16, "mlp_layer_types": ["dense", "sparse"], "num_sliding_attention_heads": 6}
        | {"rope_theta": [10_000.0, 500_000.0], "partial_rotary_factors": [1.0, 0.5]},
        VISION,
    ),
    "mistral3": ("Mistral3ForConditionalGeneration", {}, VISION | {"head_dim": 16}),
    "internvl": ("InternVLForConditionalGeneration", {}, VISION | {"image_size": [16, 16], "patch_size": [4, 4]}),
    "glm4v": ("Glm4vForConditionalGeneration", MROPE, QWEN_VISION),
    "smolvlm": ("SmolVLMForConditionalGeneration", {}, VISION),
    "llava": ("LlavaForConditionalGeneration", {}, VISION),
}


def wrapper(kind: str, **more: Any) -> PreTrainedModel:
    """A whole model with random weights, in float32; `more` is for the top of its configuration."""
    name, text, vision = WRAPPERS[kind]
    config = CONFIG_MAPPING[kind]()
    inner = {
        part: (getattr(config, part) or config.sub_configs[part]).model_type
        for part in ("text_config", "vision_config")
    }
    parts = {
        "text_config": {"model_type": inner["text_config"], **TEXT, **text},
        "vision_config": {"model_type": inner["vision_config"], **vision},
    }
    torch.manual_seed(0)
    made: PreTrainedModel = getattr(transformers, name)(CONFIG_MAPPING[kind].from_dict(parts | more))
    return made.float().eval()


def flat(**vision: Any) -> PreTrainedModel:
    """A whole model whose configuration has the numbers of its text part beside its vision part: GIT, in float32."""
    more = {"bos_token_id": 1, "eos_token_id": 2, "max_position_embeddings": 64, "vision_config": VISION | vision}
    config = CONFIG_MAPPING["git"](**TEXT | more)
    made: PreTrainedModel = transformers.AutoModelForCausalLM.from_config(config)
    return made.float().eval()


def save(folder: Path, network: PreTrainedModel) -> Path:
    """The model and a tokenizer as `from_pretrained` reads them; no token ends a text."""
    network.generation_config.eos_token_id = None
    network.save_pretrained(folder)
    small_tokenizer().save_pretrained(folder)
    return folder
