from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel

from kvdemo.models.loaded import LoadedModel
from kvdemo.operations import _Counter, operations

from .conftest import byte_level_tokenizer, loaded


@pytest.mark.parametrize(
    ("call", "counted"),
    [
        (lambda x: x + x, 1),
        (lambda x: x.add_(1), 1),
        (lambda x: functional.linear(x, x), 1),
        (lambda x: torch.cat([x, x]), 1),
        (lambda x: x.to(torch.float64), 1),
        (lambda x: x.t().reshape(-1), 1),  # has to copy
        (lambda x: x.view(-1), 0),
        (lambda x: x.t(), 0),
        (lambda x: x[0], 0),
        (lambda x: x.split(1), 0),
        (lambda x: x.to(x.dtype), 0),
        (lambda x: x.reshape(-1), 0),
        (lambda x: functional.dropout(x, training=False), 0),
    ],
)
def test_what_computes_is_counted_and_what_only_looks_is_not(call: Any, counted: int) -> None:
    x: Tensor = torch.ones(2, 2)
    with torch.inference_mode(), _Counter() as counter:
        call(x)
    assert counter.computed == counted


def gpt2(layers: int) -> LoadedModel:
    config = GPT2Config(vocab_size=400, n_embd=32, n_layer=layers, n_head=4, n_positions=64, bos_token_id=None)
    return loaded("gpt2", GPT2LMHeadModel(config).eval(), byte_level_tokenizer())


def test_each_layer_adds_the_same_number_of_operations() -> None:
    one, two, four = (operations(gpt2(layers), 8) for layers in (1, 2, 4))
    assert two - one >= 10  # two norms, four products, attention, two cache updates, two sums, at the least
    assert four - two == 2 * (two - one)


def test_the_number_does_not_depend_on_the_prompt_and_the_prefill_is_not_in_it(tiny_model: LoadedModel) -> None:
    assert operations(tiny_model, 1) == operations(tiny_model, 40) < 200
