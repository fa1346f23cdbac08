"""Convert a GGUF file to a folder that `from_pretrained` reads: Llama architecture, byte-level BPE tokenizer.

A GGUF file is one file for everything: metadata, vocabulary, and tensors in blocks of 32 numbers that share a
scale (Q4_1: 4 bits a number, a scale and an offset; Q8_0: 8 bits and a scale). `gguf` undoes the blocks; the
result is written in float32, so nothing is rounded twice.

transformers reads GGUF too, in about 30 s for SmolLM2-135M where this takes about 6: it parses the metadata three
times and asks for the name table once per module. It also drops the vocabulary's splitting rule ("smollm": every
digit is a token of its own), after which "x =  1" is tokenised otherwise than the model was trained with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader, dequantize
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import GenerationConfig, LlamaConfig, PreTrainedTokenizerFast

from kvdemo.core.events import Progress

_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_CONTROL_TOKEN = 3


def convert(gguf_file: Path, folder: Path, progress: Callable[[Progress], None]) -> None:
    """Write config, tokenizer and float32 safetensors of a Llama-architecture GGUF file into `folder`.

    Raises KeyError or ValueError for a file that is something else, OSError or SafetensorError for a full disk.
    """
    progress(Progress("Reading the GGUF file"))
    reader = GGUFReader(gguf_file)
    metadata = {name: field.contents() for name, field in reader.fields.items()}
    if metadata["general.architecture"] != "llama" or metadata["tokenizer.ggml.pre"] != "smollm":
        raise ValueError(f"{gguf_file.name} holds no Llama with SmolLM's vocabulary")
    config = llama_config(metadata, tied=all(tensor.name != "output.weight" for tensor in reader.tensors))
    weights = {}
    for done, tensor in enumerate(reader.tensors):
        progress(Progress(f"Converting tensor {done + 1} of {len(reader.tensors)}", done / len(reader.tensors)))
        values = torch.tensor(dequantize(tensor.data, tensor.tensor_type), dtype=torch.float32)
        weights[weight_name(tensor.name)] = _halves_apart(tensor.name, values, config).contiguous()
    progress(Progress("Writing the converted model"))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(folder)
    GenerationConfig(
        bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id
    ).save_pretrained(folder)
    tokenizer(metadata).save_pretrained(folder)


def weight_name(name: str) -> str:
    """Translate a name: GGUF's blk.3.attn_q.weight is transformers' model.layers.3.self_attn.q_proj.weight."""
    *block, part, kind = name.split(".")
    layer = f"model.layers.{block[1]}." if block else ""
    return f"{layer}{_NAMES[part]}.{kind}"


def _halves_apart(name: str, weight: torch.Tensor, config: LlamaConfig) -> torch.Tensor:
    """Sort the rows of the query and key projections into transformers' order.

    Rotary embedding turns pairs of numbers. GGUF keeps a pair side by side (0, 1), (2, 3) ...; transformers keeps
    its two numbers half a head apart (0, d/2), (1, d/2 + 1) ... (rows: heads * head_dim)
    """
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(name.split(".")[-2])
    if heads is None:
        return weight
    return weight.reshape(heads, -1, 2, weight.shape[1]).transpose(1, 2).reshape(weight.shape)


def llama_config(metadata: Mapping[str, Any], *, tied: bool) -> LlamaConfig:
    """Build the configuration that the metadata states; `tied`: the output layer is the embedding."""
    return LlamaConfig(
        architectures=["LlamaForCausalLM"],
        dtype="float32",
        vocab_size=metadata["llama.vocab_size"],
        hidden_size=metadata["llama.embedding_length"],
        intermediate_size=metadata["llama.feed_forward_length"],
        num_hidden_layers=metadata["llama.block_count"],
        num_attention_heads=metadata["llama.attention.head_count"],
        num_key_value_heads=metadata["llama.attention.head_count_kv"],
        head_dim=metadata["llama.rope.dimension_count"],
        max_position_embeddings=metadata["llama.context_length"],
        rms_norm_eps=metadata["llama.attention.layer_norm_rms_epsilon"],
        rope_parameters={"rope_type": "default", "rope_theta": metadata["llama.rope.freq_base"]},
        tie_word_embeddings=tied,
        bos_token_id=metadata["tokenizer.ggml.bos_token_id"],
        eos_token_id=metadata["tokenizer.ggml.eos_token_id"],
        pad_token_id=metadata["tokenizer.ggml.padding_token_id"],
    )


def tokenizer(metadata: Mapping[str, Any]) -> PreTrainedTokenizerFast:
    """Build the byte-level BPE tokenizer, every digit on its own, with the chat template."""
    tokens = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
    inner = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    inner.decoder = decoders.ByteLevel()
    kinds = metadata["tokenizer.ggml.token_type"]
    inner.add_special_tokens(
        [
            AddedToken(t, special=True, normalized=False)
            for t, kind in zip(tokens, kinds, strict=True)
            if kind == _CONTROL_TOKEN
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        model_max_length=metadata["llama.context_length"],
        bos_token=tokens[metadata["tokenizer.ggml.bos_token_id"]],
        eos_token=tokens[metadata["tokenizer.ggml.eos_token_id"]],
        unk_token=tokens[metadata["tokenizer.ggml.unknown_token_id"]],
        pad_token=tokens[metadata["tokenizer.ggml.padding_token_id"]],
        chat_template=metadata["tokenizer.chat_template"],
        clean_up_tokenization_spaces=False,
    )
