"""Make tiny random models in milliseconds: a Llama and a GPT-2 behind a byte-level tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from kvdemo.models.loaded import LoadedModel
from kvdemo.models.sources.source import Source

CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CORPUS = [
    "The quick brown fox jumps over the lazy dog.\n\n\n  What is KV caching?\n\tdef f(x):\n\n    return x * 2\n",
    "Large language models are recent advances in deep learning. She poured coffee. 键值缓存 在 推理 中\n\n\n",
]


def byte_level_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE like GPT-2's and SmolLM2's: any text, merges over runs of newlines and spaces."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        CORPUS * 4,
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", clean_up_tokenization_spaces=False
    )


def tiny_llama_network(vocab_size: int, seed: int = 0, **changes: Any) -> LlamaForCausalLM:
    """Two layers of random weights. `changes` are numbers of its configuration."""
    torch.manual_seed(seed)
    numbers: dict[str, Any] = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "initializer_range": 0.2,  # wide enough for texts that vary; the default makes every logit nearly equal
        "bos_token_id": None,
        "eos_token_id": 2,
    }
    return LlamaForCausalLM(LlamaConfig(vocab_size=vocab_size, **numbers | changes)).eval()


def tiny_gpt2_network(vocab_size: int, seed: int = 0) -> GPT2LMHeadModel:
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=vocab_size,
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=512,
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=2,
    )
    return GPT2LMHeadModel(config).eval()


def loaded(name: str, network: torch.nn.Module, tokenizer: PreTrainedTokenizerFast) -> LoadedModel:
    return LoadedModel(name, network, tokenizer, Source("folder", "made in the test", Path()))


def save(model: LoadedModel, folder: Path) -> Path:
    """Write a model to a folder that can be loaded like any other."""
    model.network.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder
