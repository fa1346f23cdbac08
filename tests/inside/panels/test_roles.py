"""Query, key and value of past positions: those that an independent computation gives, with their bytes."""

import pytest
import torch
from transformers import DynamicCache
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.cache_argument import cache_kwargs
from kvdemo.models.network.forward import cache_bytes
from tests.inside.shown import TEXT, shown
from tests.strategies.layered import model_of

WORDS = "w10 w11 w12 w13 w14 w15 w16 w17 w18 w19"


@torch.inference_mode()
def cache_of(model: LoadedModel, ids: list[int]) -> DynamicCache:
    cache = DynamicCache(config=model.network.config)
    model.network(input_ids=torch.tensor([ids]), **cache_kwargs(model.network, cache))
    return cache


@pytest.mark.parametrize("layer", [0, 1])
def test_keys_and_values_of_the_past_are_those_of_the_cache_and_do_not_change(
    tiny_model: LoadedModel, layer: int
) -> None:
    panel = shown(tiny_model, "roles", layer=layer)
    ids, longer = (tiny_model.tokenizer.encode(text) for text in (TEXT, TEXT + " dog"))
    before, after = (cache_of(tiny_model, some) for some in (ids, longer))
    was, now = before.layers[layer], after.layers[layer]
    assert panel["key_shape"] == list(now.keys.shape) and panel["value_shape"] == list(now.values.shape)
    assert [row["position"] for row in panel["rows"]] == list(range(len(ids)))
    assert [row["piece"] for row in panel["rows"]] == [tiny_model.piece(token) for token in ids]
    for at, row in enumerate(panel["rows"]):
        for name, one, other in (("key", was.keys, now.keys), ("value", was.values, now.values)):
            expected = float((other[:, :, at] - one[:, :, at]).abs().max())
            assert row[f"{name}_difference"] == pytest.approx(expected, abs=1e-6)
            assert row[f"{name}_difference"] < 1e-4
        assert row["query_difference"] < 1e-4
    assert panel["bytes"] == cache_bytes(before)


@torch.inference_mode()
def test_the_weights_are_those_of_the_new_query(tiny_llama: LoadedModel) -> None:
    panel = shown(tiny_llama, "roles", layer=0)
    ids = torch.tensor([tiny_llama.tokenizer.encode(TEXT + " dog")])
    inner = tiny_llama.network.model
    block = inner.layers[0]
    hidden = block.input_layernorm(inner.embed_tokens(ids))
    queries, keys = (
        part(hidden).unflatten(-1, (-1, 8)).transpose(1, 2) for part in (block.self_attn.q_proj, block.self_attn.k_proj)
    )
    queries, keys = apply_rotary_pos_emb(queries, keys, *inner.rotary_emb(hidden, torch.arange(ids.shape[1])[None]))
    scores = queries[:, :, -1:] @ keys.repeat_interleave(2, dim=1).mT / 8**0.5
    expected = scores.softmax(-1)[0, :, 0].mean(0)
    assert [row["weight"] for row in panel["rows"]] == pytest.approx(expected[:-1].tolist(), abs=1e-5)
    assert panel["query_shape"] == list(queries.shape)


def test_query_bytes_are_counted_by_query_heads() -> None:
    panel = shown(model_of("llama, head_dim stated"), "roles", WORDS, append=" w20")
    assert panel["bytes"] == 2 * 10 * 2 * (24 + 24) * 4  # layers, positions, key-value heads, widths, float32
    assert panel["query_bytes"] == 2 * 10 * 4 * 24 * 4


def test_a_windowed_layer_keeps_only_its_window() -> None:
    panel = shown(model_of("mistral"), "roles", WORDS, append=" w20")
    assert panel["bytes"] == 2 * 7 * 2 * (8 + 8) * 4 == cache_bytes(cache_of(model_of("mistral"), list(range(10, 20))))
    assert panel["rows"][0]["weight"] == 0 < panel["rows"][-1]["weight"]


def test_only_the_shared_tokens_of_a_retokenized_text_are_counted(tiny_llama: LoadedModel) -> None:
    before, after = (tiny_llama.tokenizer.encode(text) for text in ("The qu", "The quick fox"))
    panel = shown(tiny_llama, "roles", "The qu", append="ick fox")
    shared = len(panel["rows"])
    assert shared < len(before)
    assert panel["bytes"] == cache_bytes(cache_of(tiny_llama, before[:shared]))
    assert panel["asking"] == tiny_llama.piece(after[shared])


def test_layers_without_attention_count_for_nothing() -> None:
    model = model_of("lfm2")
    panel = shown(model, "roles", WORDS, append=" w20", layer=1)
    assert panel["bytes"] == 10 * 2 * (8 + 8) * 4
    assert "no attention" in shown(model, "roles", WORDS, append=" w20", layer=0)["cannot"]


@pytest.mark.parametrize(
    ("name", "why"), [("mamba", "no attention"), ("deepseek_v3", "keeps a vector"), ("bloom", "hides its keys")]
)
def test_layers_that_have_no_queries_and_keys_to_show_say_so(name: str, why: str) -> None:
    assert why in shown(model_of(name), "roles", WORDS, append=" w20")["cannot"]


def test_a_missing_layer_is_named(tiny_llama: LoadedModel) -> None:
    assert "choose layer 1 or lower" in shown(tiny_llama, "roles", layer=2)["cannot"]


def test_the_first_of_several_new_queries_is_shown(tiny_llama: LoadedModel) -> None:
    one, two = (shown(tiny_llama, "roles", append=text) for text in (" dog", " dog dog"))
    assert [row["weight"] for row in one["rows"]] == pytest.approx([row["weight"] for row in two["rows"]], abs=1e-6)
