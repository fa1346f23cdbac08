"""A cache keeps what the masks of the model's code look at, whatever window the configuration states."""

from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, DynamicCache, PreTrainedModel, StaticCache

from kvdemo.costs import planner
from kvdemo.models.facts import architecture
from kvdemo.models.network import fitting_cache, windows
from kvdemo.models.network.cache_argument import cache_kwargs
from tests.models.tiny_configs import NO_SPECIAL, TINY

WINDOW = 8
STRAYS: dict[str, dict[str, Any]] = {
    "window": {"sliding_window": WINDOW},
    "types": {"sliding_window": WINDOW, "layer_types": ["sliding_attention"] * 2},
    "one type": {"sliding_window": WINDOW, "layer_types": ["full_attention", "sliding_attention"]},
    "chunk": {"attention_chunk_size": WINDOW},
}
# Families whose code makes one mask for all layers, in the several ways in which they keep keys and values.
WITHOUT_WINDOW = ("llama", "gpt2", "gpt_neox", "bloom", "falcon new", "gpt_bigcode", "deepseek_v3")
WITH_WINDOW = ("mistral", "qwen2", "gemma2", "gemma3", "gpt_oss", "mimo, values narrower than keys")


def network_of(name: str, **more: Any) -> PreTrainedModel:
    kind, numbers, *_ = TINY[name]
    config = CONFIG_MAPPING[kind](**numbers | NO_SPECIAL)
    for key, value in more.items():
        setattr(config, key, value)
    torch.manual_seed(0)
    network: PreTrainedModel = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim > 1:  # what is far away must count
                weight.normal_(0, 0.2)
    return network


@torch.inference_mode()
def departs(network: PreTrainedModel, cache: DynamicCache | StaticCache) -> float:
    """Run 30 positions with a cache, the last ten one by one, and return how far the logits are from a plain pass."""
    ids = torch.randint(3, 60, (1, 30), generator=torch.Generator().manual_seed(1))
    whole = network(input_ids=ids, use_cache=False).logits[0, -1]
    for part in (ids[:, :20], *ids[:, 20:].split(1, dim=1)):
        logits = network(input_ids=part, **cache_kwargs(network, cache)).logits[0, -1]
    return float((logits - whole).abs().max() / whole.std())


def goes_wrong(network: PreTrainedModel) -> bool:
    """Tell whether the cache that generate() makes gives other logits, or none: layers of two lengths share a mask."""
    try:
        return departs(network, DynamicCache(config=network.config)) > 1e-4
    except RuntimeError:
        return True


@pytest.mark.parametrize("stray", STRAYS)
@pytest.mark.parametrize("name", WITHOUT_WINDOW)
def test_a_stated_window_that_the_code_does_not_use_drops_nothing(name: str, stray: str) -> None:
    network = network_of(name, **STRAYS[stray])
    believed = windows.of(DynamicCache(config=network.config))
    assert believed
    assert fitting_cache.stated_windows(network) == windows.Stated(believed, frozenset())
    assert goes_wrong(network)
    assert departs(network, fitting_cache.dynamic_cache(network)) < 1e-5
    assert departs(network, fitting_cache.static_cache(network, 40)) < 1e-5


@pytest.mark.parametrize("name", WITH_WINDOW)
def test_a_window_that_the_code_uses_is_kept(name: str) -> None:
    network = network_of(name)
    assert fitting_cache.stated_windows(network) == windows.Stated({}, frozenset())
    cache = fitting_cache.dynamic_cache(network)
    assert windows.of(cache) == windows.of(DynamicCache(config=network.config)) != {}
    assert departs(network, cache) < 1e-5


def test_a_window_larger_than_any_trial_is_compared_with_the_mask_too() -> None:
    for name, unused in (("llama", {0: 4096, 1: 4096}), ("mistral", {})):
        assert fitting_cache.stated_windows(network_of(name, sliding_window=4096)).unused == unused


def test_a_mask_that_cannot_be_seen_proves_nothing() -> None:
    assert fitting_cache.stated_windows(network_of("mpt", sliding_window=8)) == windows.Stated({}, frozenset({0, 1}))


@pytest.mark.parametrize("stray", STRAYS)
def test_a_plan_counts_every_position_and_says_that_generate_loses_some(stray: str) -> None:
    plain, strayed = (architecture.from_config(network_of("llama", **more).config) for more in ({}, STRAYS[stray]))
    assert strayed.layers == plain.layers
    assert strayed.unused_windows
    document = planner.plan(strayed, memory_bytes=10**9, bandwidth_bytes_per_s=10**10)
    assert any("past 8 positions it writes a wrong text" in said for said in document["notes"])
