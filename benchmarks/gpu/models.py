"""Build models of named shapes for the GPU benchmark: random weights, one in memory at a time."""

from __future__ import annotations

import gc
from typing import Any

import torch
from transformers import AutoModelForCausalLM, Gemma3TextConfig, GPT2Config, LlamaConfig, PreTrainedConfig

from kvdemo.models import loading
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import attention
from kvdemo.models.sources import random_weights
from kvdemo.models.sources.source import Source

_TINY: dict[str, Any] = {
    "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512, "initializer_range": 0.2,
    "bos_token_id": 256, "eos_token_id": 256,
}  # fmt: skip
_TINY_SHAPES: dict[str, PreTrainedConfig] = {
    "gpt2": GPT2Config(
        vocab_size=512, n_embd=64, n_layer=2, n_head=4, n_positions=512, bos_token_id=256, eos_token_id=256
    ),
    "gemma-3-1b": Gemma3TextConfig(**_TINY, head_dim=16, sliding_window=8),
    "llama": LlamaConfig(**_TINY),
}


def tiny(shape: str, device: torch.device, dtype: torch.dtype) -> LoadedModel:
    """Make a small model of the same family; Llama-like ones are one and the same."""
    config = _TINY_SHAPES.get(shape, _TINY_SHAPES["llama"])
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(config, dtype=dtype).to(device).eval().requires_grad_(False)
    tokenizer = random_weights.tokenizer(config.vocab_size)
    return LoadedModel(f"tiny:{shape}", network, tokenizer, Source("random weights", f"tiny {shape}", None))


class Models:
    """Loads the model of a shape in bfloat16 on a GPU, float32 on a CPU, and lets go of the one before."""

    def __init__(self, device: torch.device, *, tiny: bool) -> None:
        self.device, self.tiny = device, tiny
        self._name = ""
        self.held: LoadedModel | None = None

    def get(self, shape: str) -> LoadedModel:
        """Return the model of a shape that `random:` names."""
        name = "llama" if self.tiny and shape not in _TINY_SHAPES else shape
        if self.held is None or name != self._name:
            self.release()
            self._name, self.held = name, self._load(shape)
        return self.held

    def release(self) -> None:
        """Let go of the model."""
        self.held = None
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _load(self, shape: str) -> LoadedModel:
        if self.tiny:
            attention.choose(self.device)
            return tiny(shape, self.device, torch.bfloat16 if self.device.type == "cuda" else torch.float32)
        return loading.load(f"random:{shape}", device=self.device.type)
