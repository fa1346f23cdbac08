"""Models that take a cache in another way than nearly all: a strategy refuses them, or writes what they write."""

import random

import pytest
import torch

from kvdemo import strategies
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import fitting_cache
from kvdemo.strategies.base import Strategy
from kvdemo.strategies.kv_cache import static_cache
from tests.strategies.layered import ODD, model_of
from tests.strategies.references import NEW_TOKENS, random_prompt
from tests.strategies.test_contract import every_strategy, in_turns

CACHED = ("dynamic_cache", "static_cache", "batched", "prompt_lookup", "prefix_cache", "quantized_cache", "beam_search")
# What these two write depends on whether transformers caches for them, so that nothing is the reference.
OF_TWO_MINDS = ("bert", "cpmant", "xlm")


def without_a_cache(model: LoadedModel, text: str) -> list[int]:
    """The reference: the argmax behind the whole text, run anew for each token."""
    ids = model.tokenizer.encode(text)
    start = len(ids)
    for _ in range(NEW_TOKENS):
        with torch.inference_mode():
            ids.append(int(model.network(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    return ids[start:]


@pytest.mark.slow
@every_strategy
@pytest.mark.parametrize("name", sorted(set(ODD) - set(OF_TWO_MINDS)))
def test_a_lossless_strategy_writes_the_models_text_or_states_a_reason(name: str, strategy: Strategy) -> None:
    """Two lanes at a time, because a state that is kept in the model itself shows only then."""
    if not strategy.lossless:
        pytest.skip("lossy by design")
    model, rng = model_of(name), random.Random(name)
    if reason := strategy.unavailable_reason(model):
        assert reason.endswith(".")
        return
    for lengths in ((9, 2), (20, 1)):
        texts = [random_prompt(rng, length) for length in lengths]
        assert in_turns(strategy, model, texts) == [without_a_cache(model, text) for text in texts]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("rwkv", "takes no cache of transformers"),
        ("minimax", "its code failed in a first trial (ValueError: MiniMax uses cache of its own"),
        ("openai-gpt", "takes no cache of transformers"),
        ("bert", "reads in both directions"),
        ("bamba", "did not write what it writes without a cache"),
        ("cpmant", "reads in both directions"),
        ("recurrent_gemma", "keeps its states in itself"),
    ],
)
def test_models_that_would_misread_a_cache_are_refused_by_every_cached_strategy(name: str, why: str) -> None:
    model = model_of(name)
    reasons = {strategy: strategies.get(strategy).unavailable_reason(model) or "" for strategy in CACHED}
    assert all(reason.endswith(".") for reason in reasons.values())
    assert why in reasons["dynamic_cache"]
    assert strategies.get("no_cache").unavailable_reason(model) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("gpt_neo", "in a first trial it did not write what it writes without a cache: use DynamicCache."),
        ("falcon alibi", "its code failed in a first trial (RuntimeError: The size of tensor a"),
    ],
)
def test_models_that_cannot_run_in_a_fixed_size_cache_are_refused_only_by_static_cache(name: str, why: str) -> None:
    model = model_of(name)
    assert why in (strategies.get("static_cache").unavailable_reason(model) or "")
    for strategy in ("dynamic_cache", "batched", "beam_search", "prompt_lookup"):
        assert strategies.get(strategy).unavailable_reason(model) is None


def test_a_state_space_model_is_not_refused() -> None:
    for strategy in ("dynamic_cache", "static_cache", "batched", "beam_search"):
        assert strategies.get(strategy).unavailable_reason(model_of("mamba")) is None


def test_layers_that_cannot_be_reserved_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def table(**_: object) -> None:
        raise KeyError("compressed_sparse_attention")

    monkeypatch.setattr(fitting_cache, "StaticCache", table)
    reason = static_cache.StaticCached().unavailable_reason(model_of("llama"))
    assert reason == (
        "transformers has no cache of fixed size for its layers of the kind 'compressed_sparse_attention': "
        "use DynamicCache."
    )
