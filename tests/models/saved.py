"""Models on disk, small enough to be made for each test."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import BertConfig, BertForMaskedLM, LlamaForCausalLM, PreTrainedTokenizerFast

from kvdemo.core.errors import BadInput
from tests.tiny_models import tiny_llama_network

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def small_tokenizer() -> PreTrainedTokenizerFast:
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator(["What is KV caching?  It keeps keys and values.   x =  1\n\n"] * 4, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|im_end|>")


def small_llama(vocab_size: int) -> LlamaForCausalLM:
    """Wide enough for GGUF, whose blocks hold 32 numbers."""
    return tiny_llama_network(
        vocab_size, hidden_size=64, intermediate_size=96, max_position_embeddings=256, tie_word_embeddings=True,
        initializer_range=0.3, bos_token_id=1, pad_token_id=2,
    )  # fmt: skip


def save_llama(folder: Path) -> Path:
    tokenizer = small_tokenizer()
    small_llama(len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_bert(folder: Path) -> Path:
    tokenizer = small_tokenizer()
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), **shape)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_gguf(
    file: Path, model: LlamaForCausalLM, kind: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32
) -> None:
    """The model and its tokenizer as llama.cpp would write them; matrices in blocks of `kind`."""
    config, inner = model.config, small_tokenizer().backend_tokenizer
    vocabulary = sorted(inner.get_vocab(), key=inner.get_vocab().__getitem__)
    merges = [" ".join(pair) for pair in _merges(inner)]
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(vocabulary)
    writer.add_token_types([3 if token in SPECIAL else 1 for token in vocabulary])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_chat_template("{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}")
    for name, values in _llama_cpp_tensors(model).items():
        blocks = kind if values.ndim == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(name, gguf.quantize(values, blocks), raw_dtype=blocks)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _merges(inner: Tokenizer) -> list[list[str]]:
    return json.loads(inner.to_str())["model"]["merges"]


def _llama_cpp_tensors(model: LlamaForCausalLM) -> dict[str, np.ndarray]:
    config = model.config
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    tensors = {}
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight":  # tied to the embedding
            continue
        values = weight.numpy()
        for part, heads in (("q_proj", config.num_attention_heads), ("k_proj", config.num_key_value_heads)):
            if part in name:  # rotary pairs side by side, head by head
                halves = values.reshape(heads, 2, config.head_dim // 2, values.shape[1])
                values = halves.swapaxes(1, 2).reshape(values.shape)
        tensors[names.get_name(name, try_suffixes=(".weight",))] = np.ascontiguousarray(values)
    return tensors


def refusal(call: Callable[[], object]) -> str:
    """The sentence with which a call is refused: one line, closed by a full stop or a question mark."""
    with pytest.raises(BadInput) as caught:
        call()
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith((".", "?"))
    assert len(sentence) < 500
    return sentence
