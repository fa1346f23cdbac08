"""The terms that a reader moves give what the formulas of costs give, for every kind of layer."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, DynamicCache

from kvdemo.costs import formulas
from kvdemo.costs.architecture import Architecture
from kvdemo.inside.architecture import architecture_of
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.forward import cache_bytes, next_token_logits
from tests.inside.shown import shown
from tests.inside.tiny_models import model
from tests.models.saved import small_tokenizer
from tests.models.tiny_configs import CHUNKED, INDEXED, LONGCAT, NO_SPECIAL, TINY, WINDOW
from tests.models.wrappers import ROWS, flat, wrapper
from tests.tiny_models import loaded

#: What the value of a formula is by `kvdemo.costs.formulas`, at a batch and a length, with 4 bytes a number.
EXPECTED = {
    "Next position": lambda _, __, t: t - 1,
    "A step with the cache": lambda arch, b, t: b * formulas.step_flops(arch, 1, t),
    "The same step without it": lambda arch, b, t: b * formulas.step_flops(arch, t, t),
    "Memory of the cache": lambda arch, b, t: formulas.kv_bytes(arch, t, 4, b),
}


def test_attention_in_chunks_is_written_as_chunks_and_for_the_layers_that_have_them() -> None:
    listed = panel("llama4")
    row = listed["Attention of one row"]
    assert "((t - 1) mod 8 + 1)" in row["numbers"] and "min(t" not in row["numbers"]
    assert (
        "as long as the newest chunk in 2 layers" in row["about"] and "as long as the text in 1 layer." in row["about"]
    )
    assert "windows" not in row["about"]
    # 9 positions are a chunk of 8 and one of 1: a row of 1 key in each of the two layers, of 9 in the third
    assert summed(row["terms"], 1, 9) == 4 * 8 * 4 * (1 + 1 + 9)


def test_a_latent_is_not_called_keys_and_values() -> None:
    listed = panel("deepseek_v3")
    update, memory = listed["Cache update"], listed["Memory of the cache"]
    assert update["formula"] == "C_t = [C_(t-1); c_t],  R_t = [R_(t-1); r_t]"
    assert update["numbers"] == "after t positions, in layers 0 and 1: C (b, t, 16), R (b, t, 4)"
    assert memory["formula"] == "layers · (rank + rope) · bytes · t · b"
    assert memory["numbers"] == "(2 · (16 + 4) · 4 · t) · b"
    for said in (update["about"], memory["about"], listed["Read in a step with the cache"]["about"]):
        assert "key and a value" not in said and "keys and values" not in said


def test_a_cache_update_names_the_layers_that_keep_other_shapes() -> None:
    assert panel("gemma3")["Cache update"]["numbers"] == (
        "K after t positions, in layers 0 to 4 and 6: (b, 2, min(t, 7), 8); in layer 5: (b, 2, t, 8)"
    )


@functools.cache
def panel(name: str) -> dict[str, dict[str, Any]]:
    found = shown(model(name), "formulas")
    assert "cannot" not in found
    return {formula["name"]: formula for formula in found["formulas"]}


def summed(terms: list[dict[str, Any]], batch: int, length: int) -> float:
    """The value of a formula as its document describes its terms."""
    return sum(term["coefficient"] * batch ** term["batch"] * counted(term, length) ** term["length"] for term in terms)


def counted(term: dict[str, Any], length: int) -> int:
    if "chunk" in term:
        return (length - 1) % term["chunk"] + 1
    return length // term["group"] if "group" in term else min(length, term.get("cap", length))


@pytest.mark.parametrize("name", [*TINY, *CHUNKED, *(name for name in INDEXED if "mistral" not in name)])
def test_the_terms_at_any_batch_and_length_give_the_formulas_of_costs(name: str) -> None:
    arch: Architecture = architecture_of(model(name))
    listed = panel(name)
    weights = 4 * arch.active_parameters

    @settings(max_examples=40)
    @example(2, WINDOW - 1)
    @example(2, WINDOW)
    @example(2, WINDOW + 1)
    @given(st.integers(1, 64), st.integers(1, 100_000))
    def check(batch: int, length: int) -> None:
        for formula, expected in EXPECTED.items():
            if formula == "A step with the cache" and arch.latent and length == 1:
                continue  # it is about a position with others before it, and says so
            value = summed(listed[formula]["terms"], batch, length)
            assert value == pytest.approx(expected(arch, batch, length), rel=1e-12), formula
        read = summed(listed["Read in a step with the cache"]["terms"], batch, length)
        assert read == pytest.approx(weights + formulas.read_bytes(arch, length, 4, batch), rel=1e-12)

    check()


@pytest.mark.parametrize("name", TINY)
def test_the_value_is_that_of_the_requested_batch_and_length(name: str) -> None:
    found = shown(model(name), "formulas", batch=3, length=21)
    for formula in found["formulas"]:
        if formula["terms"]:
            assert formula["value"] == pytest.approx(summed(formula["terms"], 3, 21))


def test_the_memory_formula_gives_the_bytes_of_a_real_cache(tiny_model: LoadedModel) -> None:
    ids = tiny_model.encode_text("The quick brown fox jumps over the lazy dog.", special=True)
    cache = DynamicCache(config=tiny_model.network.config)
    with torch.inference_mode():
        next_token_logits(tiny_model, ids, cache)
    listed = {f["name"]: f for f in shown(tiny_model, "formulas", length=len(ids))["formulas"]}
    assert listed["Memory of the cache"]["value"] == cache_bytes(cache)


def test_the_cache_outgrows_the_weights_at_the_length_that_is_named(tiny_model: LoadedModel) -> None:
    listed = {f["name"]: f for f in shown(tiny_model, "formulas")["formulas"]}
    at = listed["Cache larger than weights"]["value"]
    memory = listed["Memory of the cache"]["terms"]
    assert summed(memory, 1, at - 1) <= tiny_model.weight_bytes < summed(memory, 1, at)


def test_the_feed_forward_counts_the_weights_of_one_layer(tiny_llama: LoadedModel) -> None:
    listed = {f["name"]: f for f in shown(tiny_llama, "formulas")["formulas"]}
    assert listed["Feed-forward of one position"]["value"] == 2 * 3 * 32 * 64
    assert "LlamaMLP" in listed["Feed-forward of one position"]["about"]


@pytest.mark.parametrize("kind", ["gemma3", "llava"])
def test_the_formulas_of_a_model_for_pictures_are_those_of_its_text_part(kind: str) -> None:
    model = loaded(kind, wrapper(kind), small_tokenizer())
    listed = {f["name"]: f for f in shown(model, "formulas", length=5)["formulas"]}
    mlp = model.network.get_decoder().layers[0].mlp
    assert listed["Feed-forward of one position"]["value"] == 2 * sum(weight.numel() for weight in mlp.parameters())
    read = listed["Read in a step with the cache"]["value"] - listed["Memory of the cache"]["value"]
    assert read == 4 * architecture_of(model).active_parameters < model.weight_bytes


def test_the_formulas_of_a_flat_model_for_pictures_are_those_of_its_text_part() -> None:
    listed = {f["name"]: f for f in shown(loaded("git", flat(), small_tokenizer()), "formulas", length=5)["formulas"]}
    assert listed["Feed-forward of one position"]["value"] is None  # its text part has none of that name


def test_a_mixture_that_may_send_a_token_to_fewer_experts_says_that_the_least_is_shown() -> None:
    config = CONFIG_MAPPING["longcat_flash"](**LONGCAT | NO_SPECIAL | {"vocab_size": ROWS, "zero_expert_num": 2})
    model = loaded("longcat_flash", AutoModelForCausalLM.from_config(config).eval(), small_tokenizer())
    step = next(f for f in shown(model, "formulas", length=5)["formulas"] if f["name"] == "A step with the cache")
    assert step["about"].endswith("N is the least: a token may be sent to more experts, of up to 6,144 parameters.")


def test_a_mixture_of_experts_has_no_feed_forward_to_count_and_says_so() -> None:
    formula = panel("mixtral")["Feed-forward of one position"]
    assert (formula["value"], formula["terms"]) == (None, [])
    assert "experts" in formula["about"]
