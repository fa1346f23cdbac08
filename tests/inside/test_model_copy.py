"""A copy for an experiment shares what costs memory, and takes along nothing that belongs to the original."""

from dataclasses import replace

import torch

from kvdemo.inside.model_copy import in_format, sharing_weights
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.kv_cache.compiling.compiled_step import Compiled


def test_a_copy_shares_the_weights_and_not_the_modules(tiny_model: LoadedModel) -> None:
    copy = sharing_weights(tiny_model)
    own = dict(tiny_model.network.named_parameters())
    assert all(weight is own[name] for name, weight in copy.network.named_parameters())
    assert not {id(module) for module in copy.network.modules()} & {
        id(module) for module in tiny_model.network.modules()
    }


def test_a_copy_in_another_format_keeps_tied_weights_tied(tiny_gpt2: LoadedModel) -> None:
    network = in_format(tiny_gpt2, torch.bfloat16).network
    assert {weight.dtype for weight in network.parameters()} == {torch.bfloat16}
    assert network.lm_head.weight is network.transformer.wte.weight
    assert tiny_gpt2.dtype == torch.float32


def test_rotary_frequencies_keep_their_precision(tiny_llama: LoadedModel) -> None:
    network = in_format(tiny_llama, torch.float16).network
    assert network.model.rotary_emb.inv_freq.dtype == torch.float32


def test_compiled_code_is_not_copied_with_the_network(tiny_llama: LoadedModel) -> None:
    network = sharing_weights(tiny_llama).network
    network._kvdemo_compiled = Compiled(lambda *_: None)
    assert sharing_weights(replace(tiny_llama, network=network)).network._kvdemo_compiled is None
