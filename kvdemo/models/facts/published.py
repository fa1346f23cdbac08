"""Read from a config.json how the weights of a model were quantised, and estimate their bytes where it tells enough.

Each format keeps the matrices of its linear layers, or its experts alone, in few bits with a scale for a group of
numbers. Embeddings, the projection onto the vocabulary, norms and biases stay in 16 bits, as do the modules that the
configuration names. A format that is not here, or a configuration that leaves its numbers out, gets no estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from kvdemo.costs.architecture import Published
from kvdemo.models.facts import step_weights

_SIXTEEN = 2
_LISTS = ("modules_to_not_convert", "llm_int8_skip_modules", "ignored_layers", "ignore")
# transformers' own name of the format, as people write it.
_WRITTEN = {"awq": "AWQ", "gptq": "GPTQ", "mxfp4": "MXFP4", "fp8": "FP8", "fbgemm_fp8": "FP8"}
Bytes = Callable[[torch.Tensor], float]


def stated(raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what a config.json says of quantised weights, of the whole or of its text part; None where nothing."""
    inner = raw.get("text_config")
    for part in (raw, inner if isinstance(inner, Mapping) else {}):
        for name in ("quantization_config", "compression_config"):
            if isinstance(found := part.get(name), Mapping) and found:
                return found
    return None


def read(said: Mapping[str, Any], network: PreTrainedModel, parameters: int) -> Published:
    """Name the format in which the weights of a network were published, and estimate their bytes.

    `parameters` is how many numbers its part that continues text has, with a projection that it was built without.
    """
    method = str(said.get("quant_method") or ("bitsandbytes" if _bits(said) else "unknown"))[:40]
    each = _each(method, said)
    size = None if each is None else _size(said, network, parameters, each, experts_alone=method == "mxfp4")
    return Published(_WRITTEN.get(method, method if method.isprintable() else ascii(method)), _bits(said), size)


def _bits(said: Mapping[str, Any]) -> int | None:
    for name, bits in (("load_in_4bit", 4), ("_load_in_4bit", 4), ("load_in_8bit", 8), ("_load_in_8bit", 8)):
        if said.get(name) is True:
            return bits
    method = str(said.get("quant_method"))
    number = said.get("bits", said.get("w_bit"))
    groups = said.get("config_groups")
    if isinstance(groups, Mapping):  # compressed-tensors: each group says it of its own weights
        weights = [group.get("weights") for group in groups.values() if isinstance(group, Mapping)]
        found = {part.get("num_bits") for part in weights if isinstance(part, Mapping)}
        number = found.pop() if len(found) == 1 else None
    if type(number) is int and 1 <= number <= 16:
        return number
    return 4 if method == "mxfp4" else 8 if "fp8" in method else None


def _each(method: str, said: Mapping[str, Any]) -> Bytes | None:
    """Return how many bytes a matrix takes in a format: its numbers, and a scale for each group of them."""
    bits = _bits(said)
    if said.get("dynamic") or said.get("lm_head"):  # other bits in some modules, and a projection in few bits
        return None
    group = said.get("group_size", said.get("q_group_size"))
    if method in ("awq", "gptq") and bits and type(group) is int and group > 0:
        # Beside each group a scale of 16 bits and a zero point; GPTQ keeps the group of each column in 32 bits.
        order = 4 if method == "gptq" else 0
        return lambda w: w.numel() * (bits / 8 + (2 + bits / 8) / group) + order * w.shape[-1]
    if method == "bitsandbytes" and bits == 4:  # QLoRA, arXiv:2305.14314, section 3: blocks of 64, of scales 256
        double = said.get("bnb_4bit_use_double_quant") is True
        return lambda w: w.numel() * (0.5 + ((1 + 4 / 256) if double else 4) / 64)
    if method == "mxfp4":  # OCP Microscaling Formats 1.0: 32 numbers share a scale of 8 bits
        return lambda w: w.numel() * (0.5 + 1 / 32)
    block = said.get("weight_block_size")
    if method == "fp8" and isinstance(block, list) and len(block) == 2 and all(type(n) is int and n > 0 for n in block):
        return lambda w: w.numel() * (1 + 4 / (block[0] * block[1]))
    return None


def _size(
    said: Mapping[str, Any], network: PreTrainedModel, parameters: int, each: Bytes, *, experts_alone: bool
) -> int:
    lists = [said.get(name) for name in _LISTS]
    kept = {
        word.replace(".*", "")
        for listed in lists
        if isinstance(listed, list)
        for word in listed
        if isinstance(word, str)
    }
    whole = {id(weight) for part in step_weights.text_parts(network)[1:] for weight in part.parameters()}
    whole |= {id(part.weight) for part in network.modules() if isinstance(part, nn.Embedding)}
    wanted = {id(weight) for weight in step_weights.expert_weights(network)}
    if not experts_alone:
        wanted |= {id(part.weight) for part in network.modules() if isinstance(part, nn.Linear)}
    text = {id(weight) for part in step_weights.text_parts(network) for weight in part.parameters()}
    total = float(_SIXTEEN * parameters)
    for path, weight in network.named_parameters():
        converted = id(weight) in (wanted & text) - whole and weight.ndim >= 2 and not path.endswith("bias")
        if converted and not _kept(path, kept):
            total += each(weight) - _SIXTEEN * weight.numel()
    return round(total)


def _kept(path: str, kept: set[str]) -> bool:
    """Tell whether a weight is in a module that the configuration names, for each layer by its number or for all."""
    for words in (path.split("."), [word for word in path.split(".") if not word.isdigit()]):
        ends = range(1, len(words) + 1)
        if any(".".join(words[start:end]) in kept for end in ends for start in range(end)):
            return True
    return False
