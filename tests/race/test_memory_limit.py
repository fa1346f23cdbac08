"""A race that does not fit into memory is refused before it starts: Linux would end the whole program for it."""

from __future__ import annotations

import functools
import gc
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.profiler import ProfilerActivity, profile
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, LlamaForCausalLM

from kvdemo import strategies
from kvdemo.caches.prefix_store import PrefixSlot
from kvdemo.core.errors import BadInput, NoRoom
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import RaceRequest
from kvdemo.costs import formulas
from kvdemo.measure.check import check_measurement
from kvdemo.models.facts import architecture
from kvdemo.models.facts.pass_memory import PassMemory
from kvdemo.models.loaded import LoadedModel
from kvdemo.race import memory_limit
from kvdemo.race.check import check_race, fit
from kvdemo.strategies.base import Strategy
from kvdemo.strategies.chooser import record
from tests.models.saved import small_tokenizer
from tests.models.wrappers import wrapper
from tests.strategies.conftest import job_of
from tests.tiny_models import byte_level_tokenizer, loaded, save, tiny_llama_network

#: Tiny Llama: 2 layers keep keys and values of 2 heads, 16 wide, in float32.
FORM = {"prompt": "The quick brown fox", "chat": False, "ignore_eos": True}


def asked(*lanes: str, tokens: int = 100) -> RaceRequest:
    return RaceRequest.parse({**FORM, "strategies": lanes, "max_new_tokens": tokens})


@pytest.fixture
def position(tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> int:
    """The bytes that a position of one lane takes where keys and values alone are counted."""
    monkeypatch.setattr(memory_limit._Run, "_running", lambda *_: 0)
    assert tiny_llama.layers is not None
    return sum(layer.bytes_per_position(tiny_llama.dtype.itemsize) for layer in tiny_llama.layers)


def free(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(memory_limit, "room_bytes", lambda _: size)


def test_rows_that_do_not_fit_are_refused_with_the_largest_token_count_that_fits(
    tiny_llama: LoadedModel, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = fit(tiny_llama, tiny_llama.prompt(FORM["prompt"], chat=False)).prompt_tokens
    free(monkeypatch, 256 * position * (prompt + 40))
    rows = 256 * (prompt + 40) // (prompt + 100)
    with pytest.raises(BadInput, match=f"ask for at most 40 new tokens, or for at most {rows} rows") as refused:
        check_race(asked("batched:rows=256"), tiny_llama)
    assert refused.value.max_new_tokens == 40
    check_race(asked("batched:rows=256", tokens=40), tiny_llama)
    check_race(asked(f"batched:rows={rows}"), tiny_llama)


def test_the_memory_of_all_lanes_is_added_up(
    tiny_llama: LoadedModel, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 2 * position * 150)
    check_race(asked("dynamic_cache"), tiny_llama)
    check_race(asked("dynamic_cache", "no_cache"), tiny_llama)  # the second keeps nothing
    with pytest.raises(BadInput, match="ask for at most"):
        check_race(asked("dynamic_cache", "static_cache", "quantized_cache", "batched:rows=2"), tiny_llama)


def test_a_sliding_window_counts_only_the_positions_that_it_keeps(
    tiny_llama: LoadedModel, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, position * 60)
    check_race(asked("sliding_window:window=16", tokens=400), tiny_llama)
    with pytest.raises(BadInput, match="ask for at most"):
        check_race(asked("sliding_window:window=300", tokens=400), tiny_llama)


def test_a_prompt_that_does_not_fit_is_refused_with_other_remedies(
    tiny_llama: LoadedModel, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 3 * position)
    with pytest.raises(BadInput, match="shorten the prompt to at most 2 tokens, or choose fewer") as refused:
        check_race(asked("dynamic_cache"), tiny_llama)
    assert refused.value.max_new_tokens is None


def test_nothing_is_refused_when_the_free_memory_is_unknown(
    tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_limit, "room_bytes", lambda _: None)
    check_race(asked("batched:rows=256"), tiny_llama)


def test_a_measurement_counts_the_memory_of_its_largest_lane_alone(
    tiny_llama: LoadedModel, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, position * 150)
    form = {**FORM, "max_new_tokens": 100, "repeats": 1}
    check_measurement(MeasureRequest.parse({**form, "strategies": "dynamic_cache,static_cache"}), tiny_llama)
    with pytest.raises(BadInput, match="Batched .*: ask for at most"):
        check_measurement(MeasureRequest.parse({**form, "strategies": "dynamic_cache,batched:rows=8"}), tiny_llama)
    sweep = {"sweep_prompt": "200", "sweep_tokens": "8"}
    with pytest.raises(BadInput, match="memory"):
        check_measurement(MeasureRequest.parse({**form, **sweep, "strategies": "dynamic_cache"}), tiny_llama)


def test_the_free_memory_of_this_machine_is_known(tiny_llama: LoadedModel) -> None:
    assert (memory_limit.room_bytes(tiny_llama.device) or 1) > 0


def test_lanes_that_run_at_once_compute_at_once(tiny_llama: LoadedModel) -> None:
    lanes = [strategies.get("no_cache"), strategies.get("no_cache")]
    one, both = (memory_limit.needed_bytes(lanes[:n], tiny_llama, 50, 50) for n in (1, 2))
    assert both == one  # they take turns, and keep nothing
    assert memory_limit.needed_bytes(lanes, tiny_llama, 50, 50, "simultaneous") == 2 * one


def test_of_a_cache_in_main_memory_the_device_holds_two_layers() -> None:
    tokenizer = byte_level_tokenizer()
    model = loaded("deep", tiny_llama_network(len(tokenizer), num_hidden_layers=6), tokenizer)
    whole, fetched = (
        memory_limit.needed_bytes([strategies.get(lane)], model, 50, 50)
        for lane in ("dynamic_cache", "offloaded_cache")
    )
    layer = model.layers[0].bytes_per_position(4) * 100 if model.layers else 0
    assert whole - fetched == 4 * layer


def test_a_draft_model_counts_until_it_is_loaded_and_its_cache_always(
    tiny_llama: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = loaded("draft", tiny_llama_network(len(tiny_llama.tokenizer), num_hidden_layers=1), tiny_llama.tokenizer)
    monkeypatch.setenv("KVDEMO_DRAFT_MODEL", str(save(draft, tmp_path / "draft")))
    lanes = [strategies.get("speculative"), strategies.get("speculative:draft_tokens=3")]
    assert draft.layers is not None
    cache = draft.layers[0].bytes_per_position(4) * 100
    model = loaded("model", tiny_llama.network, tiny_llama.tokenizer)
    plain = memory_limit.needed_bytes([strategies.get("prompt_lookup:draft_tokens=4")], model, 50, 50)
    assert memory_limit.needed_bytes(lanes[:1], model, 50, 50) == plain + cache + draft.weight_bytes
    both = memory_limit.needed_bytes(lanes, model, 50, 50)
    kept = lanes[0].draft_model(model)
    assert both - memory_limit.needed_bytes(lanes, model, 50, 50) == draft.weight_bytes  # it was counted once
    del kept


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16])
def test_a_draft_model_without_a_formula_counts_the_weights_in_its_files_as_they_are_loaded(
    stored: torch.dtype, tiny_llama: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = loaded("draft", tiny_llama_network(len(tiny_llama.tokenizer), num_hidden_layers=1), tiny_llama.tokenizer)
    size = draft.weight_bytes
    draft.network.to(stored)
    monkeypatch.setenv("KVDEMO_DRAFT_MODEL", str(save(draft, tmp_path / "draft")))
    model, lane = loaded("model", tiny_llama.network, tiny_llama.tokenizer), strategies.get("speculative")
    plain = memory_limit.needed_bytes([strategies.get("prompt_lookup:draft_tokens=4")], model, 50, 50)

    def refuse(*_: Any, **__: Any) -> Any:
        raise BadInput("No formula is known.")

    monkeypatch.setattr(architecture, "from_hub", refuse)
    assert memory_limit.needed_bytes([lane], model, 50, 50) == plain + size


#: Tiny, and yet so that a long prompt's pass takes far more than what a step takes anyway.
PROMPT, TOKENS = 300, 40
#: Bytes of single numbers, which no formula counts.
SCALARS = 64
LANES = (
    "no_cache", "dynamic_cache", "static_cache", "sliding_window:window=64", "batched:rows=8", "beam_search:beams=6",
    "diverse_beam_search:beams=6", "contrastive_search:candidates=6", "prompt_lookup", "lookahead",
    "early_exit:depth=50",
)  # fmt: skip


def peak_of(lane: Strategy, model: LoadedModel, slot: PrefixSlot | None = None, tokens: int = TOKENS) -> int:
    """Measure the most bytes that PyTorch holds while a lane runs, of what it takes for it: by its own profiler."""
    ids = [Random(0).randrange(3, min(400, model.rows)) for _ in range(PROMPT)]
    job = replace(job_of(model, "The fox", tokens=tokens), encode=lambda _: list(ids), handover=slot)
    gc.collect()
    written = 0
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as measured:
        for step in map(record, lane.decode(job)):
            written += len(step.choices)
            if written >= tokens:
                break
    assert measured.profiler
    held = peak = 0
    for event in measured.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("lane", LANES)
def test_a_lane_never_holds_more_than_was_estimated_nor_far_less(lane: str, attention: str) -> None:
    network = tiny_llama_network(2000, hidden_size=64, intermediate_size=256)
    network.set_attn_implementation(attention)
    model = loaded("tiny", network, byte_level_tokenizer())
    chosen = strategies.get(lane)
    assert chosen.unavailable_reason(model) is None
    peak = peak_of(chosen, model)
    estimated = memory_limit.needed_bytes([chosen], model, PROMPT, TOKENS)
    assert peak - SCALARS <= estimated <= 2 * peak


@pytest.mark.slow
def test_the_estimate_holds_for_a_model_of_another_build(tiny_gpt2: LoadedModel) -> None:
    peak = peak_of(strategies.get("no_cache"), tiny_gpt2)
    estimated = memory_limit.needed_bytes([strategies.get("no_cache")], tiny_gpt2, PROMPT, TOKENS)
    assert peak - SCALARS <= estimated <= 2 * peak


#: Numbers of a tiny model, by the names that most families share.
TINY = {
    "vocab_size": 2000, "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 16, "mamba_n_groups": 1, "mamba_d_state": 64}
LAYERS_OF_TWO_KINDS = ["sliding_attention", "full_attention"] * 2
#: Families whose passes take what plain attention does not, or less than their configuration suggests.
FAMILIES: dict[str, dict[str, Any]] = {
    "mistral": TINY | {"sliding_window": 64},
    "gemma3_text": TINY | {"sliding_window": 64},
    "gpt_oss": TINY | {"sliding_window": 64, "num_local_experts": 4, "num_experts_per_tok": 2},
    "llama4_text": TINY | {
        "layer_types": ["chunked_attention", "full_attention"] * 2, "attention_chunk_size": 64,
        "no_rope_layers": [1, 0, 1, 0], "num_local_experts": 4, "num_experts_per_tok": 1, "intermediate_size_mlp": 256,
        "moe_layers": [1],
    },
    "gemma3n_text": TINY | {
        "sliding_window": 64, "num_kv_shared_layers": 2, "layer_types": LAYERS_OF_TWO_KINDS,
        "hidden_size_per_layer_input": 64, "vocab_size_per_layer_input": 2000, "laurel_rank": 8, "altup_num_inputs": 4,
        "activation_sparsity_pattern": [0.0] * 4, "intermediate_size": [256] * 4,
    },
    "gemma4_text": TINY | {
        "sliding_window": 64, "num_kv_shared_layers": 2, "layer_types": LAYERS_OF_TWO_KINDS,
        "hidden_size_per_layer_input": 64, "vocab_size_per_layer_input": 2000,
    },
    "deepseek_v3": {name: number for name, number in TINY.items() if name != "head_dim"} | {
        "num_key_value_heads": 4, "kv_lora_rank": 32, "q_lora_rank": 24, "qk_rope_head_dim": 8, "qk_nope_head_dim": 16,
        "v_head_dim": 16, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1,
        "moe_intermediate_size": 64, "first_k_dense_replace": 1,
    },
    "falcon_h1": TINY | MAMBA | {"mamba_d_ssm": 128},
    "bamba": TINY | MAMBA | {"attn_layer_indices": [1, 3]},
    "jamba": TINY | {
        "num_hidden_layers": 2, "attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 2, "mamba_d_state": 16,
        "mamba_dt_rank": 4,
    },
    "qwen3_next": TINY | {
        "linear_num_key_heads": 4, "linear_num_value_heads": 8, "linear_key_head_dim": 16, "linear_value_head_dim": 16,
        "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64, "shared_expert_intermediate_size": 64,
        "layer_types": ["linear_attention", "full_attention"] * 2,
    },
    "mixtral": TINY | {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None},
    "bloom": {"vocab_size": 2000, "hidden_size": 64, "n_layer": 4, "n_head": 4},
    "mpt": {"vocab_size": 2000, "d_model": 64, "n_layers": 4, "n_heads": 4},
    "doge": {name: number for name, number in TINY.items() if name != "head_dim"},
}  # fmt: skip


def of_family(family: str) -> LoadedModel:
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(CONFIG_MAPPING[family](**FAMILIES[family])).eval()
    return loaded(family, network, byte_level_tokenizer())


@pytest.mark.parametrize("lane", ["no_cache", "dynamic_cache"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_estimate_holds_for_each_kind_of_architecture(family: str, lane: str) -> None:
    model, chosen = of_family(family), strategies.get(lane)
    peak = peak_of(chosen, model, tokens=4)
    assert 0.95 * peak <= memory_limit.needed_bytes([chosen], model, PROMPT, 4) <= 1.05 * peak


@pytest.mark.parametrize("lane", ["no_cache", "dynamic_cache"])
@pytest.mark.parametrize("kind", ["gemma3", "gemma4", "llava", "qwen3_vl"])
def test_the_estimate_holds_for_the_text_part_of_a_model_for_pictures(kind: str, lane: str) -> None:
    model, chosen = loaded(kind, wrapper(kind), small_tokenizer()), strategies.get(lane)
    peak = peak_of(chosen, model, tokens=4)
    assert 0.95 * peak <= memory_limit.needed_bytes([chosen], model, PROMPT, 4) <= 1.05 * peak


def test_keys_that_layers_share_are_counted_once_where_a_cache_keeps_them() -> None:
    model = of_family("gemma4_text")
    assert model.layers is not None
    kept = formulas.layers_bytes([replace(layer, window=None) for layer in model.layers], PROMPT, 4)
    without, cached = (
        memory_limit.needed_bytes([strategies.get(lane)], model, PROMPT, 4) for lane in ("no_cache", "dynamic_cache")
    )
    assert kept > 0.15 * without  # such that to count them twice would show
    assert abs(cached - without) < 0.05 * kept


def test_a_prefix_lane_counts_all_positions_of_layers_with_a_window() -> None:
    model, lane = of_family("mistral"), strategies.get("prefix_cache")
    assert lane.unavailable_reason(model) is None
    peak = peak_of(lane, model, PrefixSlot())
    fewer, more = (memory_limit.needed_bytes([lane], model, PROMPT, tokens) for tokens in (TOKENS, 10 * TOKENS))
    assert 0.9 * peak <= fewer <= 1.3 * peak
    assert model.layers is not None
    assert more - fewer >= 9 * TOKENS * sum(layer.bytes_per_position(4) for layer in model.layers)


class AllLogits(LlamaForCausalLM):
    """A class that puts all positions through the vocabulary projection, whatever it is asked for."""

    def forward(self, *args: Any, logits_to_keep: int = 0, **kwargs: Any) -> Any:  # noqa: ARG002
        return super().forward(*args, **kwargs)


def test_logits_that_a_class_computes_of_all_positions_are_counted() -> None:
    usual = tiny_llama_network(2000)
    model = loaded("all logits", AllLogits(usual.config).eval(), byte_level_tokenizer())
    lane = strategies.get("no_cache")
    peak, estimated = peak_of(lane, model, tokens=4), memory_limit.needed_bytes([lane], model, PROMPT, 4)
    assert peak >= PROMPT * 2000 * 4
    assert 0.9 * peak <= estimated <= 1.2 * peak


def test_a_network_that_cannot_be_measured_is_estimated_by_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    @functools.wraps(LlamaForCausalLM.forward)  # its signature tells how a cache is passed
    def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no numbers")

    model = loaded("unmeasured", tiny_llama_network(2000), byte_level_tokenizer())
    lane = strategies.get("no_cache")
    measured = memory_limit.needed_bytes([lane], model, PROMPT, 4)
    unmeasured = loaded("unmeasured", tiny_llama_network(2000), byte_level_tokenizer())
    monkeypatch.setattr(LlamaForCausalLM, "forward", fails)
    assert memory_limit.needed_bytes([lane], unmeasured, PROMPT, 4) == pytest.approx(measured, rel=0.3)


class FailsWithoutNumbers(LlamaForCausalLM):
    """A class that runs, and that cannot be measured on the meta device."""

    def forward(self, input_ids: Any, **kwargs: Any) -> Any:
        if input_ids.is_meta:
            raise RuntimeError("no numbers")
        return super().forward(input_ids, **kwargs)


class KeepsNothing(FailsWithoutNumbers):
    """The same, and what it keeps is in no cache."""

    def forward(self, input_ids: Any, past_key_values: Any = None, cache: Any = None, **kwargs: Any) -> Any:  # noqa: ARG002
        return super().forward(input_ids, **kwargs | {"use_cache": False})


def not_worked_out(kind: type[LlamaForCausalLM], tokenizer: Any) -> LoadedModel:
    model = loaded("odd", kind(tiny_llama_network(len(tokenizer)).config).eval(), tokenizer)
    if kind is not LlamaForCausalLM:
        vars(model)["layers"] = None  # the class of the configuration is tried, which succeeds
    return model


@pytest.mark.parametrize(
    "lane", ["batched:rows=256", "beam_search", "dynamic_cache", "early_exit", "prompt_lookup", "no_cache"]
)
@pytest.mark.parametrize("kind", [FailsWithoutNumbers, LlamaForCausalLM])
def test_a_model_that_cannot_be_tried_is_refused_what_cannot_fit(
    kind: type[LlamaForCausalLM], lane: str, tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, lanes = not_worked_out(kind, tiny_llama.tokenizer), [strategies.get(lane)]
    assert (model.layers is None) == (kind is FailsWithoutNumbers)
    free(monkeypatch, 2**33)
    with pytest.raises(NoRoom, match="ask for at most"):
        memory_limit.check_race(lanes, model, 10, 10**9, "fair")
    memory_limit.check_race(lanes, model, 10, 40, "fair")


def test_what_is_measured_of_a_cache_is_about_what_the_formula_gives(tiny_llama: LoadedModel) -> None:
    known, odd = (not_worked_out(kind, tiny_llama.tokenizer) for kind in (LlamaForCausalLM, FailsWithoutNumbers))
    for lane in map(strategies.get, ("batched:rows=8", "early_exit", "no_cache")):
        exact = memory_limit.needed_bytes([lane], known, 300, 100)
        assert 0.9 * exact <= memory_limit.needed_bytes([lane], odd, 300, 100) <= 1.7 * exact


def test_a_cache_of_which_nothing_is_known_is_refused_and_no_cache_runs(
    tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = not_worked_out(KeepsNothing, tiny_llama.tokenizer)
    free(monkeypatch, 2**33)
    with pytest.raises(BadInput, match="cache of odd keeps cannot be found out.* choose lanes without a cache"):
        memory_limit.check_race([strategies.get("dynamic_cache")], model, 10, 40, "fair")
    memory_limit.check_race([strategies.get("no_cache")], model, 10, 40, "fair")


def test_races_that_fit_by_far_are_measured_at_few_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []
    measure = PassMemory._measure

    def noted(memory: PassMemory, positions: int, cached: bool) -> int | None:
        lengths.append(positions)
        return measure(memory, positions, cached)

    monkeypatch.setattr(PassMemory, "_measure", noted)
    model = loaded("measured", tiny_llama_network(2000), byte_level_tokenizer())
    for prompt in range(40, 120):
        memory_limit.check_race([strategies.get("no_cache")], model, prompt, 8, "fair")
    assert sorted(lengths) == [1, 64, 128]


@given(st.data())
def test_more_is_never_estimated_to_need_less(tiny_llama: LoadedModel, data: st.DataObject) -> None:
    lanes = data.draw(st.lists(st.sampled_from(LANES), min_size=1, max_size=4))
    schedule = data.draw(st.sampled_from(["fair", "simultaneous"]))
    prompt, tokens, rows = (data.draw(st.integers(1, most)) for most in (1000, 1000, 64))

    def needed(lanes: list[str], prompt: int, tokens: int, rows: int) -> int:
        chosen = [*map(strategies.get, lanes), strategies.get(f"batched:rows={rows}")]
        return memory_limit.needed_bytes(chosen, tiny_llama, prompt, tokens, schedule)

    least = needed(lanes, prompt, tokens, rows)
    assert least <= needed(lanes, prompt + data.draw(st.integers(0, 500)), tokens, rows)
    assert least <= needed(lanes, prompt, tokens + data.draw(st.integers(0, 500)), rows)
    assert least <= needed(lanes, prompt, tokens, rows + data.draw(st.integers(0, 64)))
    assert least <= needed([*lanes, data.draw(st.sampled_from(LANES))], prompt, tokens, rows)
