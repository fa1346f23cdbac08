"""What a cache keeps is measured on the model where it cannot be worked out from its shapes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from transformers import AutoModelForCausalLM, DynamicCache

from kvdemo.costs.formulas import layers_bytes
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.forward import cache_bytes, next_token_logits
from kvdemo.strategies.compatibility import trial
from kvdemo.strategies.compatibility.measured_cache import layers_of
from tests.models.saved import small_tokenizer
from tests.models.tiny_configs import AT_HAND, tiny
from tests.tiny_models import loaded


def without_formula(name: str) -> LoadedModel:
    model = loaded(name, AutoModelForCausalLM.from_config(tiny(name)).eval(), small_tokenizer())
    vars(model)["layers"] = None
    return model


def test_layers_that_are_known_are_not_measured(tiny_llama: LoadedModel) -> None:
    with tiny_llama.network.register_forward_pre_hook(lambda *_: pytest.fail("it was run")):
        assert layers_of(replace(tiny_llama)) == tiny_llama.layers


@pytest.mark.parametrize("name", AT_HAND)
def test_no_cache_holds_more_than_was_measured(name: str) -> None:
    model = without_formula(name)
    found = layers_of(model)
    assert found
    for positions in (1, 3, 40, 200):
        cache = DynamicCache(config=model.network.config)
        next_token_logits(model, [3] * positions, cache)
        assert cache_bytes(cache) <= layers_bytes(found, positions, model.dtype.itemsize)
    assert layers_bytes(found, 200, model.dtype.itemsize) <= 30 * cache_bytes(cache)  # windows of 8 end to grow


def test_it_is_measured_once_and_not_where_nothing_may_be_tried() -> None:
    model, ran = without_formula("llama"), []
    model.network.register_forward_pre_hook(lambda *_: ran.append(1))
    with trial.known_only():
        assert layers_of(model) == ()
    assert not ran
    found = layers_of(model)
    assert found
    assert ran
    ran.clear()
    with trial.known_only():
        assert layers_of(model) == found
    assert not ran
