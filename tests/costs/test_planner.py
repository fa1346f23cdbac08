import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvdemo.core.errors import BadInput
from kvdemo.costs.architecture import Architecture, Indexer, LayerCache
from kvdemo.costs.planner import PlanRequest, plan


def model(*layers: LayerCache, **facts: Any) -> Architecture:
    """By default Llama-3.1-8B."""
    stated: dict[str, Any] = {
        "name": "Llama-3.1-8B",
        "layers": layers or (LayerCache("full", kv_heads=8, head_dim=128),) * 32,
        "heads": 32,
        "head_dim": 128,
        "hidden_size": 4096,
        "vocab_size": 128_256,
        "parameters": 8_030_261_248,
        "active_parameters": 7_504_924_672,
        "context_length": 131_072,
        "attention": "grouped-query",
    }
    return Architecture(**stated | facts)


MACHINE: dict[str, Any] = {"memory_bytes": 24 * 10**9, "bandwidth_bytes_per_s": 1e12}


def test_the_figures_of_llama_8b_on_24_gb() -> None:
    made = plan(model(), **MACHINE, context=8192, batch=2)
    weights = 2 * 8_030_261_248
    assert made["weights"]["bytes"] == weights
    assert made["cache"]["bytes_per_token"] == 131_072
    assert made["cache"]["at"] == [{"positions": n, "bytes": n * 131_072} for n in (1024, 8192, 32_768, 131_072)]
    assert made["cache"]["at_context"] == {"positions": 8192, "bytes": 2**30, "batch_bytes": 2**31}
    assert made["cache"]["outgrows_weights_at"] == weights // 131_072 + 1
    free = 24 * 10**9 - weights
    assert made["fit"]["free_bytes"] == free
    assert made["fit"]["largest_context"] == free // 131_072
    assert made["fit"]["largest_batch"] == free // 2**30
    assert made["fit"]["fits"]
    read = 2 * 7_504_924_672 + 2**31
    assert made["decode"]["ms_per_token"] == pytest.approx(read / 1e12 * 1000)
    assert made["decode"]["tokens_per_s"] == pytest.approx(1e12 / read)
    assert made["decode"]["batch_tokens_per_s"] == pytest.approx(2e12 / read)


def test_every_part_with_figures_says_where_they_come_from_and_none_was_measured() -> None:
    made = plan(model(), **MACHINE)
    bases = {part: made[part]["basis"] for part in ("model", "weights", "cache", "fit", "decode")}
    assert bases.pop("decode") == "predicted"
    assert set(bases.values()) == {"formula"}
    assert json.loads(json.dumps(made, allow_nan=False)) == made


def test_weights_that_do_not_fit_are_stated_without_further_figures() -> None:
    made = plan(model(), memory_bytes=10 * 10**9, bandwidth_bytes_per_s=1e12)
    fit = made["fit"]
    assert (fit["weights_fit"], fit["fits"], fit["free_bytes"]) == (False, False, 0)
    assert (fit["largest_context"], fit["largest_batch"]) == (0, 0)
    assert "The weights alone do not fit: they need 16.1 GB in bfloat16, and there are 10 GB." in made["sentences"]
    assert not any("fit." in sentence for sentence in made["sentences"] if "alone" not in sentence)


def test_a_batch_that_does_not_fit_is_stated() -> None:
    made = plan(model(), **MACHINE, context=8192, batch=8)
    assert not made["fit"]["fits"]
    assert "At a context of 8,192, 7 sequences fit; 8 do not fit." in made["sentences"]


@pytest.mark.parametrize(
    ("dtype", "weight_bytes", "a_token", "cache_dtype"),
    [
        ("float32", 4 * 8_030_261_248, 262_144, "float32"),
        ("float16", 2 * 8_030_261_248, 131_072, "float16"),
        ("int8", 8_030_261_248, 131_072, "bfloat16"),
        ("int4", 8_030_261_248 // 2, 131_072, "bfloat16"),
    ],
)
def test_sizes_follow_the_number_formats(dtype: str, weight_bytes: int, a_token: int, cache_dtype: str) -> None:
    made = plan(model(), **MACHINE, dtype=dtype)
    assert (made["weights"]["bytes"], made["cache"]["bytes_per_token"]) == (weight_bytes, a_token)
    assert made["settings"]["cache_dtype"] == cache_dtype
    assert any("the cache in" in note for note in made["notes"]) == (dtype in ("int8", "int4"))
    assert plan(model(), **MACHINE, dtype=dtype, cache_dtype="fp8")["cache"]["bytes_per_token"] == 65_536


def test_an_odd_number_of_4_bit_weights_is_rounded_up_to_a_byte() -> None:
    assert plan(model(parameters=7, active_parameters=7), **MACHINE, dtype="int4")["weights"]["bytes"] == 4


def test_a_cache_that_stops_growing_fits_at_any_length() -> None:
    made = plan(model(*[LayerCache("sliding", kv_heads=8, head_dim=128, window=4095)] * 32), **MACHINE)
    assert made["fit"]["largest_context"] is None
    assert made["cache"]["outgrows_weights_at"] is None
    assert made["cache"]["bytes_per_token_past_windows"] == 0
    assert "All 32 layers keep the last 4,095 positions." in made["sentences"]
    assert any("W - 1 are kept" in note for note in made["notes"])


def test_layers_of_several_kinds_are_listed_separately() -> None:
    layers = [LayerCache("full", kv_heads=2, head_dim=8)] + [LayerCache("state", state_elements=900)] * 3
    made = plan(model(*layers, LayerCache("state")), **MACHINE)
    sentence = (
        "Of 5 layers, 3 keep a state of 900 numbers, however long the text is, 1 keeps every position "
        "and 1 keeps nothing."
    )
    assert sentence in made["sentences"]
    assert made["cache"]["constant_bytes"] == 3 * 900 * 2
    assert made["model"]["layer_kinds"] == {"full": 1, "state": 4}


@pytest.mark.parametrize(
    ("attention", "layer", "says"),
    [
        ("multi-head", LayerCache("full", 32, 128), "each of the 32 heads keeps keys and values of its own, 128 wide"),
        ("grouped-query", LayerCache("full", 8, 128), "32 query heads share 8 key-value heads"),
        ("multi-query", LayerCache("full", 1, 128), "all 32 query heads share one key-value head"),
        ("latent", LayerCache("full", 1, 512, 64), "a layer keeps 512 numbers a position"),
        ("latent", LayerCache("full", 1, 512, 64), "are computed again, and 64 that tell where it is."),
        ("latent", LayerCache("full", 1, 512, 0), "from which keys and values are computed again."),
        ("grouped-query", LayerCache("full", 4, 192, 128), "192 and 128 wide"),
    ],
)
def test_the_kind_of_attention_is_named(attention: str, layer: LayerCache, says: str) -> None:
    assert says in plan(model(layer, attention=attention), **MACHINE)["sentences"][0]


@pytest.mark.parametrize(
    ("attention", "layers", "says"),
    [
        (
            "grouped-query",
            (LayerCache("full", 4, 512), LayerCache("sliding", 16, 256, window=7)),
            "32 query heads share 4 (512 wide) or 16 (256 wide) key-value heads.",
        ),
        ("grouped-query", (LayerCache("full", 4, 512), LayerCache("full", 8, 512)), "4 or 8 key-value heads, 512 wide"),
        ("multi-query", (LayerCache("full", 1, 512), LayerCache("sliding", 1, 256, window=7)), "256 or 512 wide"),
        (
            "grouped-query",
            (LayerCache("full", 8, 128, query_heads=64), LayerCache("sliding", 8, 128, window=7, query_heads=32)),
            "32 or 64 query heads share 8 key-value heads, 128 wide.",
        ),
        (
            "multi-head",
            (LayerCache("full", 4, 128, query_heads=4), LayerCache("full", 8, 128, query_heads=8)),
            "each of the 4 or 8 heads keeps keys and values of its own, 128 wide",
        ),
        (
            "latent",
            (LayerCache("full", 1, 512, 0), *[LayerCache("full", 1, 512, 64)] * 3),
            "are computed again, and in 3 of 4 layers 64 that tell where it is.",
        ),
    ],
)
def test_heads_of_other_widths_are_not_given_the_width_of_the_first_layer(
    attention: str, layers: tuple[LayerCache, ...], says: str
) -> None:
    assert says in plan(model(*layers, attention=attention), **MACHINE)["sentences"][0]


def test_query_heads_are_a_list_where_layers_differ() -> None:
    layer = LayerCache("full", kv_heads=8, head_dim=128)
    assert plan(model(layer), **MACHINE)["model"]["heads"] == 32
    mixed = model(layer, LayerCache("full", kv_heads=8, head_dim=128, query_heads=64))
    assert plan(mixed, **MACHINE)["model"]["heads"] == [32, 64]


def test_heads_that_a_library_repeats_count_once_and_a_note_says_so() -> None:
    made = plan(model(LayerCache("full", kv_heads=32, head_dim=128), repeats=4), **MACHINE)
    assert made["cache"]["bytes_per_token"] == 2 * 8 * 128 * 2
    assert made["cache"]["repeated_bytes_per_token"] == 4 * made["cache"]["bytes_per_token"]
    assert any("keeps each key-value head 4 times" in sentence for sentence in made["sentences"])


def test_the_headline_states_the_bytes_per_token_and_what_fits() -> None:
    assert plan(model(name="meta-llama/Llama-3.1-8B/"), **MACHINE)["headline"] == (
        "Llama-3.1-8B in bfloat16: 131 kB of cache a token; 24 GB hold 60,573 tokens beside its weights."
    )
    small = plan(model(), memory_bytes=10 * 10**9, bandwidth_bytes_per_s=1e12)
    assert small["headline"].endswith("but its weights alone, 16.1 GB, do not fit into 10 GB.")
    windows = plan(model(*[LayerCache("sliding", kv_heads=8, head_dim=128, window=4095)] * 32), **MACHINE)
    assert windows["headline"].endswith("up to a limit; beside its weights 24 GB hold any context.")


def test_the_curve_extends_beyond_the_planned_length_and_bends_at_full_windows() -> None:
    window = LayerCache("sliding", kv_heads=8, head_dim=128, window=4095)
    made = plan(model(*[window] * 16, *[LayerCache("full", kv_heads=8, head_dim=128)] * 16), **MACHINE)
    cache, curve = made["cache"], {point["positions"]: point["bytes"] for point in made["cache"]["curve"]}
    assert list(curve) == sorted(curve) and min(curve) == 128
    assert max(curve) > max(made["fit"]["largest_context"], cache["outgrows_weights_at"], 200_000)
    assert curve[4095] == 4095 * cache["bytes_per_token"]
    assert curve[max(curve)] == curve[4095] + (max(curve) - 4095) * cache["bytes_per_token_past_windows"]


def test_the_default_context_is_no_longer_than_the_model_allows() -> None:
    assert plan(model(), **MACHINE)["settings"]["context"] == 8192
    assert plan(model(context_length=1024), **MACHINE)["settings"]["context"] == 1024
    beyond = plan(model(context_length=1024), **MACHINE, context=4096)
    assert any("beyond the 1,024" in note for note in beyond["notes"])


FORM = {"model": "gpt2", "memory_gb": 24, "bandwidth_gb_s": 1000}
BAD = [
    ({"model": ""}, "There is nothing to plan for"),
    ({"model": " \n", "config": "\t"}, "There is nothing to plan for"),
    ({"model": 5}, "The model must be text"),
    ({"config": {"a": 1}}, "The config must be text"),
    *(({"memory_gb": bad}, "memory in GB must be a number") for bad in (0, -1, "much", math.nan, math.inf, True, [])),
    ({"memory_gb": None}, "The memory in GB is missing"),
    *(({"bandwidth_gb_s": bad}, "bandwidth in GB/s must be a number") for bad in (0, -1, "fast", math.nan, 1e300)),
    ({"bandwidth_gb_s": ""}, "The memory bandwidth in GB/s is missing"),
    *(({"dtype": bad}, "There is no number format") for bad in ("int3", "auto", 16, ["float16"], "x" * 4999)),
    ({"dtype": "x" * 9999}, "At most 5,000 characters are read of the number format"),
    ({"cache_dtype": "int4"}, "There is no cache's number format 'int4'"),
    *(({"context": bad}, "The context must be a whole number") for bad in (0, -1, 1.5, "long", 10**12, True)),
    *(({"batch": bad}, "The batch must be a whole number") for bad in (0, -1, 2.5, "big", 10**9)),
    ({"colour": "red"}, "no setting 'colour'"),
    ({5: "red"}, "no setting 5"),
]


@pytest.mark.parametrize(("fields", "says"), BAD, ids=[f"{next(iter(f))}-{n}" for n, (f, _) in enumerate(BAD)])
def test_invalid_plans_get_one_sentence(fields: dict[Any, Any], says: str) -> None:
    with pytest.raises(BadInput) as caught:
        PlanRequest.parse(FORM | fields)
    message = str(caught.value)
    assert says in message
    assert "\n" not in message
    assert len(message) < 250


def test_form_and_url_give_the_same_plan() -> None:
    typed = PlanRequest.parse(FORM | {"dtype": "FP16", "context": 4096.0, "batch": 2, "config": None})
    url = PlanRequest.parse(
        {"model": "gpt2", "memory_gb": "24", "bandwidth_gb_s": "1000", "dtype": "float16", "context": "4096"}
        | {"batch": "2", "config": ""}
    )
    assert typed == url
    assert typed.plan(model())["settings"] == {
        "memory_bytes": 24 * 10**9,
        "bandwidth_bytes_per_s": 1e12,
        "dtype": "float16",
        "cache_dtype": "float16",
        "context": 4096,
        "batch": 2,
    }


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "fp8/int8", "fp8", "int8", "int4"])
def test_each_number_format_of_the_form_is_known(dtype: str) -> None:
    assert PlanRequest.parse(FORM | {"dtype": dtype}).plan(model())["decode"]["tokens_per_s"] > 0


@given(st.dictionaries(st.sampled_from(sorted(PlanRequest.__dataclass_fields__)), st.from_type(object)))
def test_any_input_gives_a_plan_or_one_sentence(raw: dict[str, Any]) -> None:
    try:
        PlanRequest.parse(FORM | raw).plan(model())
    except BadInput as error:
        assert str(error)


def test_where_a_token_may_be_sent_to_no_expert_the_weights_that_it_reads_are_a_range() -> None:
    """The floor is that of the fewest."""
    made = plan(model(active_parameters=1_000_000_000, spare_parameters=2_000_000_000), **MACHINE)
    assert any("1 to 3 billion are read for a token" in sentence for sentence in made["sentences"])
    assert any("the floor counts the fewest" in note for note in made["notes"])
    assert made["weights"]["read_bytes_per_token"] == 2_000_000_000
    made = plan(model(active_parameters=1_000_000_000), **MACHINE)
    assert any("billion parameters, 1 billion are read" in sentence for sentence in made["sentences"])
    assert not any("fewest" in note for note in made["notes"])


def test_the_floor_of_a_sparse_model_counts_what_its_indexer_chooses_and_says_so() -> None:
    """At 131,072 positions a layer reads 1,000 of them and all of the indexer's keys; all are kept."""
    layer = LayerCache("full", kv_heads=1, head_dim=512, value_dim=64, index_elements=128, sparse=True)
    dense = LayerCache("full", kv_heads=1, head_dim=512, value_dim=64)
    sparse = model(layer, layer, dense, indexer=Indexer(1000, 64))
    made = plan(sparse, **MACHINE, context=131_072, batch=64)
    read = 2 * 7_504_924_672 + 64 * 2 * (2 * (576 * 1000 + 128 * 131_072) + 576 * 131_072)
    assert made["decode"]["bytes_read"] == read
    assert made["decode"]["ms_per_token"] == pytest.approx(read / 1e12 * 1000)
    assert made["cache"]["at_context"]["bytes"] == 2 * (2 * (576 + 128) + 576) * 131_072
    said = made["sentences"][-1]
    assert "in 2 layers: 1,000." in said
    assert "all of the indexer's keys" in said and "transformers reads all that is kept" in said
    unknown = plan(replace(sparse, indexer=Indexer(None, 0)), **MACHINE)["sentences"][-1]
    assert "does not tell, counted as 1." in unknown and "none of the indexer's keys" in unknown


def test_layers_whose_latents_differ_or_are_others_are_told() -> None:
    wide = LayerCache("full", kv_heads=1, head_dim=1024, value_dim=64)
    narrow = LayerCache("full", kv_heads=1, head_dim=512, value_dim=64)
    keys = LayerCache("full", index_elements=64)
    made = plan(model(narrow, wide, keys, keys, attention="latent"), **MACHINE)
    assert "a layer keeps 512 or 1024 numbers a position" in made["sentences"][0]
    assert "2 keep every position and 2 keep an indexer's keys of every position." in made["sentences"][1]
    assert made["model"]["kv_heads"] == [1]


@pytest.mark.parametrize(
    ("gigabytes", "says"),
    [(17.5, "1 sequence fits."), (18.5, "2 sequences fit."), (16.5, "0 sequences fit; 1 does not fit.")],
)
def test_one_sequence_fits_and_several_fit(gigabytes: float, says: str) -> None:
    made = plan(model(), memory_bytes=round(gigabytes * 1e9), bandwidth_bytes_per_s=1e12)
    assert any(sentence.startswith(f"At a context of 8,192, {says}") for sentence in made["sentences"])


@pytest.mark.parametrize(("window", "unfilled"), [(4096, False), (131_071, False), (131_072, True), (262_143, True)])
def test_a_cache_that_stops_growing_is_not_said_to_be_for_any_context_of_the_model(window: int, unfilled: bool) -> None:
    made = plan(model(*[LayerCache("sliding", kv_heads=8, head_dim=128, window=window)] * 4), **MACHINE)
    said = next(sentence for sentence in made["sentences"] if "stops growing" in sentence)
    assert "but the model was made for 131,072 positions" in said
    assert ("before which the windows are not full" in said) is unfilled


def test_a_model_without_a_limit_has_none_in_the_sentence() -> None:
    layers = [LayerCache("sliding", kv_heads=8, head_dim=128, window=64)] * 4
    made = plan(model(*layers, context_length=None), **MACHINE)
    assert "The cache stops growing, so that no context is too long for the memory." in made["sentences"]
