"""What is recorded of attention is what the model computes with, and recording leaves no trace in the model."""

from __future__ import annotations

import copy
import threading

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from kvdemo.core.errors import BadInput
from kvdemo.inside.capture import QUERIES_AT_A_TIME, capture, check_keeps, check_layer, heads
from kvdemo.inside.panel import CannotShow
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.forward import next_token_logits
from tests.inside.tiny_models import model, network
from tests.models.tiny_configs import TINY, tiny

IDS = [5, 9, 17, 4, 33, 8, 21, 40, 11, 3, 29, 50, 13, 7, 25, 44, 6, 38, 19, 55]  # more than twice the tiny windows

#: Layers that cannot be recorded, and what the sentence says of them.
HIDDEN = {
    "bloom": {0: "BloomAttention", 1: "BloomAttention"},
    "mpt": {0: "MptAttention", 1: "MptAttention"},
    "falcon multi-query": {0: "FalconAttention", 1: "FalconAttention"},
    "falcon multi-head": {0: "FalconAttention", 1: "FalconAttention"},
    "falcon new": {0: "FalconAttention", 1: "FalconAttention"},
    "qwen3_next": {0: "Qwen3NextGatedDeltaNet"},
    "lfm2": {0: "Lfm2ShortConv"},
    "jamba": {0: "JambaMambaMixer"},
}
#: Layers whose cache holds other things than the keys that are attended to.
LATENT = ("deepseek_v3", "deepseek_v32, an indexer's keys", "glm_moe_dsa")
KEEPS_NO_KEYS = {(name, layer) for name in LATENT for layer in (0, 1)}
KEEPS_NO_KEYS |= {("gemma4, layers that share keys", layer) for layer in (2, 3)}


SHOWN = [(name, n) for name in TINY for n in range(tiny(name).num_hidden_layers) if n not in HIDDEN.get(name, {})]


@pytest.mark.parametrize(("name", "layer"), SHOWN)
def test_weights_are_those_that_the_model_puts_out_in_eager_attention(name: str, layer: int) -> None:
    held = capture(model(name), IDS, [layer], weights=len(IDS))[layer]
    own = own_weights(name, layer, torch.float32)
    assert held.weights is not None
    bound = 2e-5
    if (held.weights - own).abs().max() > bound:  # scores may be so large that rounding does more, as in Gemma 4
        bound = 2 * float((own_weights(name, layer, torch.float64) - own).abs().max())
    torch.testing.assert_close(held.weights, own, rtol=0, atol=bound)


def own_weights(name: str, layer: int, dtype: torch.dtype) -> Tensor:
    """What a layer puts out in eager attention, shape (heads, queries, positions)."""
    eager = copy.deepcopy(network(name, "eager")).to(dtype)
    with torch.inference_mode():
        out = eager(input_ids=torch.tensor([IDS]), output_attentions=True)
    of_layers = [weights for weights in out.attentions if weights is not None]  # a hybrid's other layers have none
    weights: Tensor = of_layers[layer - sum(n < layer for n in HIDDEN.get(name, {}))][0]
    return weights.to(dtype)


@pytest.mark.parametrize(("name", "layer"), SHOWN)
def test_keys_and_values_are_those_that_a_cache_keeps(name: str, layer: int) -> None:
    held = capture(model(name), IDS, [layer])[layer]
    if (name, layer) in KEEPS_NO_KEYS:
        with pytest.raises(CannotShow, match=f"Layer {layer} of "):
            check_keeps(model(name), layer, held)
        return
    check_keeps(model(name), layer, held)
    cache = DynamicCache(config=network(name).config)
    with torch.inference_mode():
        next_token_logits(model(name), IDS, cache)
    kept = cache.layers[layer]
    for recorded, in_cache in ((held.keys, kept.keys), (held.values, kept.values)):
        torch.testing.assert_close(recorded[:, :, -in_cache.shape[2] :], in_cache, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "layer"), [(name, layer) for name, found in HIDDEN.items() for layer in found])
def test_a_layer_without_queries_and_keys_is_refused_by_name(name: str, layer: int) -> None:
    with pytest.raises(CannotShow, match=rf"^Layer {layer} of .*{HIDDEN[name][layer]}.*\.$"):
        capture(model(name), IDS, [layer])


@torch.inference_mode()
def test_llama_queries_and_keys_are_the_projections_rotated(tiny_llama: LoadedModel) -> None:
    layers = tiny_llama.network.model.layers
    projected: dict[str, torch.Tensor] = {}
    hooks = [
        getattr(layers[1].self_attn, name).register_forward_hook(
            lambda _, __, out, name=name: projected.__setitem__(name, out)
        )
        for name in ("q_proj", "k_proj", "v_proj")
    ]
    held = capture(tiny_llama, IDS, [1])[1]
    for hook in hooks:
        hook.remove()
    heads = {name: out.view(1, len(IDS), -1, 8).transpose(1, 2) for name, out in projected.items()}
    cos, sin = tiny_llama.network.model.rotary_emb(projected["q_proj"], torch.arange(len(IDS))[None])
    queries, keys = apply_rotary_pos_emb(heads["q_proj"], heads["k_proj"], cos, sin)
    torch.testing.assert_close(held.queries, queries)
    torch.testing.assert_close(held.keys, keys)
    torch.testing.assert_close(held.values, heads["v_proj"])


def test_gpt2_queries_keys_and_values_are_the_three_parts_of_its_projection(tiny_gpt2: LoadedModel) -> None:
    found: list[torch.Tensor] = []
    hook = tiny_gpt2.network.transformer.h[0].attn.c_attn.register_forward_hook(lambda _, __, out: found.append(out))
    held = capture(tiny_gpt2, IDS, [0])[0]
    hook.remove()
    parts = (part.view(1, len(IDS), 4, 8).transpose(1, 2) for part in found[0].split(32, dim=2))
    for recorded, part in zip((held.queries, held.keys, held.values), parts, strict=True):
        assert torch.equal(recorded, part)


def test_one_head_and_the_last_queries_are_a_slice_of_all_weights(tiny_llama: LoadedModel) -> None:
    long = IDS * (QUERIES_AT_A_TIME // len(IDS) + 2)
    whole = capture(tiny_llama, long, [1], weights=len(long))[1].weights
    part = capture(tiny_llama, long, [1], weights=3, head=2)[1].weights
    assert whole is not None
    assert part is not None
    assert whole.shape == (4, len(long), len(long))
    torch.testing.assert_close(part, whole[2:3, -3:])
    torch.testing.assert_close(whole.sum(-1), torch.ones(4, len(long)))


def test_capture_restores_the_model_even_if_the_pass_fails(tiny_llama: LoadedModel) -> None:
    before = (tiny_llama.attention, vars(ALL_ATTENTION_FUNCTIONS).copy())
    with torch.inference_mode():
        logits = next_token_logits(tiny_llama, IDS)
        capture(tiny_llama, IDS, [0], weights=1)
        assert torch.equal(next_token_logits(tiny_llama, IDS), logits)
    with pytest.raises(IndexError):
        capture(tiny_llama, [10**6], [0])
    assert (tiny_llama.attention, vars(ALL_ATTENTION_FUNCTIONS)) == before


def test_a_model_that_runs_in_another_thread_is_not_captured(tiny_llama: LoadedModel) -> None:
    other = model("llama")

    def run_other(*_: object) -> None:
        thread = threading.Thread(target=next_token_logits, args=(other, IDS))
        thread.start()
        thread.join()

    hook = tiny_llama.network.model.layers[0].register_forward_hook(run_other)
    held = capture(tiny_llama, IDS, [0, 1])
    hook.remove()
    assert {layer: found.keys.shape for layer, found in held.items()} == dict.fromkeys((0, 1), (1, 2, len(IDS), 8))


def test_a_layer_or_head_beyond_the_model_is_refused_with_the_largest(tiny_llama: LoadedModel) -> None:
    check_layer(tiny_llama, 1, 3)
    with pytest.raises(BadInput, match="has 2 layers, counted from 0: choose layer 1 or lower"):
        check_layer(tiny_llama, 2)
    with pytest.raises(BadInput, match="has 4 heads, counted from 0: choose head 3 or lower"):
        check_layer(tiny_llama, 0, 4)


def test_a_head_is_refused_beyond_those_of_its_own_layer() -> None:
    mixed = model("laguna, other query heads in its full layer")
    assert (heads(mixed, 0), heads(mixed, 1)) == (2, 4)
    check_layer(mixed, 1, 3)
    with pytest.raises(BadInput, match="Layer 0 of laguna, .* has 2 heads, counted from 0: choose head 1 or lower"):
        check_layer(mixed, 0, 3)
