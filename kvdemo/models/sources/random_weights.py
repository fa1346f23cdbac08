"""Build models with the shape of well-known ones and random weights: `random:gpt2`.

What a step costs depends on a model's shape and number format, not on the values of its weights, so latency and
memory can be measured where the weights cannot be had: without the Hub, without a disk to hold them. What such a
model writes means nothing, and everything that names it says "random weights".

Each shape is the `config.json` of the model on the Hub that `catalog.SHAPES` names; what concerns text there
(special tokens) is left out, because the tokenizer is made here as well.
"""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from kvdemo.core.errors import BadInput
from kvdemo.core.figures import units
from kvdemo.models import memory
from kvdemo.models.names import catalog
from kvdemo.models.network import tied

END_OF_TEXT = "<|endoftext|>"
_END_ID = 256  # the 256 bytes come first
_SEED = 0
_LETTERS = "abcdefghijklmnopqrstuvwxyz"

DIMENSIONS: dict[str, tuple[type[PreTrainedConfig], dict[str, Any]]] = {
    "gemma-3-1b": (
        Gemma3TextConfig,
        {
            "vocab_size": 262144,
            "hidden_size": 1152,
            "intermediate_size": 6912,
            "num_hidden_layers": 26,
            "num_attention_heads": 4,
            "num_key_value_heads": 1,
            "head_dim": 256,
            "max_position_embeddings": 32768,
            "sliding_window": 512,
            "tie_word_embeddings": True,
        },
    ),
    "gpt2": (GPT2Config, {"vocab_size": 50257, "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12}),
    "gpt2-medium": (
        GPT2Config,
        {"vocab_size": 50257, "n_positions": 1024, "n_embd": 1024, "n_layer": 24, "n_head": 16},
    ),
    "llama-2-7b": (
        LlamaConfig,
        {
            "vocab_size": 32000,
            "hidden_size": 4096,
            "intermediate_size": 11008,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 32,
            "max_position_embeddings": 4096,
            "rms_norm_eps": 1e-5,
            "tie_word_embeddings": False,
        },
    ),
    "qwen3-0.6b": (
        Qwen3Config,
        {
            "vocab_size": 151936,
            "hidden_size": 1024,
            "intermediate_size": 3072,
            "num_hidden_layers": 28,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "max_position_embeddings": 40960,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
            "tie_word_embeddings": True,
        },
    ),
    "smollm2-135m": (
        LlamaConfig,
        {
            "vocab_size": 49152,
            "hidden_size": 576,
            "intermediate_size": 1536,
            "num_hidden_layers": 30,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
            "max_position_embeddings": 8192,
            "rms_norm_eps": 1e-5,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e5},
            "tie_word_embeddings": True,
        },
    ),
}


def config(shape: str) -> PreTrainedConfig:
    """Make the configuration of a shape that `catalog.SHAPES` lists."""
    kind, numbers = DIMENSIONS[shape]
    return kind(**numbers, bos_token_id=_END_ID, eos_token_id=_END_ID)


def build(name: str, device: torch.device, dtype: torch.dtype) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Build the model and the tokenizer of a name such as random:gpt2. Raises BadInput where memory is too small."""
    made = network(name, device, dtype)
    return made, tokenizer(made.config.vocab_size)


def network(name: str, device: torch.device, dtype: torch.dtype) -> PreTrainedModel:
    """Build a model whose weights are drawn on the device itself, in its number format, the same ones every time.

    The distribution is the one that training starts from. Raises BadInput where the memory is too small.
    """
    made = shape(name, dtype)
    _check_room(name, sum(p.nbytes for p in made.parameters()), device)
    made.to_empty(device=device)
    tied.tie(made)  # `to_empty` gave each name memory of its own
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(_SEED)
        made.initialize_weights()
    return made


def shape(name: str, dtype: torch.dtype) -> PreTrainedModel:
    """Build a model without memory and numbers, on the meta device."""
    with torch.device("meta"):
        made: PreTrainedModel = AutoModelForCausalLM.from_config(config(name.removeprefix(catalog.RANDOM)), dtype=dtype)
    tied.tie(made)
    return made


def _check_room(name: str, needed: int, device: torch.device) -> None:
    """Raise BadInput where `needed` bytes exceed the free memory of a GPU or the main memory of a computer."""
    cuda = device.type == "cuda"
    there = memory.free_bytes(device) if cuda else memory.main_memory()
    if there is not None and needed > there:
        raise BadInput(
            f"{name} needs {units.megabytes(needed)} of memory and there are {units.megabytes(there)}"
            f"{' free on the GPU' if cuda else ''}: choose a smaller model or a 16-bit number format."
        )


def tokenizer(vocab_size: int) -> PreTrainedTokenizerFast:
    """Build a tokenizer with bytes as tokens and a text for every other id. Any text comes back as it was.

    A trained tokenizer gives every id a text, and a model with random weights chooses among all of its ids. So
    each id beyond the bytes and the end of text is written as one letter, which reads back as one token (the
    letter's byte): a loop whose state is text grows by a token a step, as it does with a trained model.
    """
    vocabulary = {byte: n for n, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    vocabulary[END_OF_TEXT] = _END_ID
    for n in range(_END_ID + 1, vocab_size):
        vocabulary[f"{_LETTERS[n % len(_LETTERS)]}⟨{n}⟩"] = n  # names must differ; the decoder drops the number
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.Sequence([decoders.Replace(Regex("⟨.*"), ""), decoders.ByteLevel()])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token=END_OF_TEXT, bos_token=END_OF_TEXT, clean_up_tokenization_spaces=False
    )
