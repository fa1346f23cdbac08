import time
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    CONFIG_MAPPING,
    AutoModelForCausalLM,
    DynamicCache,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
)

from kvdemo.core.types import Pass
from kvdemo.costs.architecture import Architecture, Indexer, Latent, LayerCache, shared
from kvdemo.costs.formulas import (
    decode_floor_s,
    index_width,
    kv_bytes,
    kv_bytes_per_token,
    most_positions,
    outgrows_weights_at,
    pass_flops,
    positions_cached,
    positions_uncached,
    query_key_pairs,
    read_bytes,
    step_flops,
)
from kvdemo.models.facts import architecture
from kvdemo.models.network.cache_argument import cache_kwargs
from tests.models.tiny_configs import GROUPED, LONGCAT, MIXTURE, NO_SPECIAL, ROUTED, SIZES, WINDOW, WINDOWED, tiny

FULL = LayerCache("full", kv_heads=2, head_dim=4)
SLIDING = LayerCache("sliding", kv_heads=2, head_dim=4, window=7)
STATE = LayerCache("state", state_elements=10, float32_elements=3)
GEMMA_3N = WINDOWED | NO_SPECIAL | {
    "num_hidden_layers": 4, "num_kv_shared_layers": 2, "layer_types": ["sliding_attention", "full_attention"] * 2,
    "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 64, "laurel_rank": 4, "altup_num_inputs": 2,
    "activation_sparsity_pattern": [0.0] * 4, "intermediate_size": [48] * 4,
}  # fmt: skip


def counted(config: PreTrainedConfig, past: int, new: int = 1) -> tuple[PreTrainedModel, FlopCounterMode]:
    """A model with random weights, and what torch counted of a pass over new positions after those in its cache."""
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", experts_implementation="eager").eval()
    cache, counter = DynamicCache(config=config), FlopCounterMode(display=False)
    with torch.inference_mode():
        if past:
            model(input_ids=torch.ones((1, past), dtype=torch.long), **cache_kwargs(model, cache))
        with counter:
            model(input_ids=torch.ones((1, new), dtype=torch.long), logits_to_keep=1, **cache_kwargs(model, cache))
    return model, counter


def arch(*layers: LayerCache, repeats: int = 1) -> Architecture:
    """8 query heads of width 4 over whatever the layers keep."""
    return Architecture(
        name="made here",
        layers=layers,
        heads=8,
        head_dim=4,
        hidden_size=32,
        vocab_size=100,
        parameters=1000,
        active_parameters=900,
        context_length=None,
        attention="grouped-query",
        repeats=repeats,
    )


def test_a_full_layer_grows_with_every_position() -> None:
    model = arch(FULL, FULL, FULL)
    assert kv_bytes_per_token(model, 2) == 2 * 3 * 2 * 4 * 2  # query heads are not in it
    assert kv_bytes(model, 100, 2) == 100 * kv_bytes_per_token(model, 2)
    assert kv_bytes(model, 100, 2, batch=3) == 300 * kv_bytes_per_token(model, 2)
    assert kv_bytes(model, 0, 2) == 0


def test_gpt2_in_float16_takes_36_864_bytes_a_token() -> None:
    assert kv_bytes_per_token(arch(*[LayerCache("full", kv_heads=12, head_dim=64)] * 12), 2) == 36_864


def test_a_sliding_layer_stops_at_its_window() -> None:
    model = arch(FULL, SLIDING)
    assert kv_bytes(model, 7, 2) == 2 * 7 * 32
    assert kv_bytes(model, 8, 2) == (8 + 7) * 32
    assert kv_bytes(model, 1000, 2) == (1000 + 7) * 32
    assert kv_bytes_per_token(model, 2) == 64


def test_a_state_does_not_grow_and_its_float32_part_ignores_the_format() -> None:
    assert kv_bytes(arch(STATE), 1, 2) == kv_bytes(arch(STATE), 9999, 2) == 10 * 2 + 3 * 4
    assert kv_bytes(arch(STATE), 5, 1, batch=2) == 2 * (10 + 12)
    assert kv_bytes_per_token(arch(STATE, FULL), 2) == 32
    both = LayerCache("full", kv_heads=1, head_dim=2, state_elements=5)
    assert kv_bytes(arch(both), 3, 4) == (3 * 4 + 5) * 4


def test_a_value_may_be_narrower_than_its_key() -> None:
    assert LayerCache("full", kv_heads=2, head_dim=4).per_position == 16
    assert LayerCache("full", kv_heads=2, head_dim=4, value_dim=1).per_position == 10
    assert LayerCache("full", kv_heads=2, head_dim=4, value_dim=0).per_position == 8


def test_flops_count_weights_and_attention() -> None:
    model = replace(arch(FULL, FULL), vocab_size=10)  # a head of 10 · 32
    assert step_flops(model, 1, 50) == 2 * 900 + 4 * 2 * 50 * 32
    assert step_flops(arch(STATE), 1, 50) == 2 * 900
    # Three positions at a context of 50: the head runs once, and the queries look at 48, 49 and 50 keys.
    assert step_flops(model, 3, 50) == 2 * 3 * (900 - 320) + 2 * 320 + 4 * 2 * (48 + 49 + 50) * 32
    # A window of 8 keeps 7 positions and attends to those and the newest.
    assert step_flops(arch(SLIDING), 1, 50) == 2 * 900 + 4 * 8 * 32
    assert step_flops(replace(arch(SLIDING), vocab_size=10), 3, 9) == 2 * (3 * 580 + 320) + 4 * (7 + 8 + 8) * 32


@pytest.mark.parametrize("positions", [1, 37])
def test_flops_of_the_matrix_products_are_those_that_torch_counts(positions: int) -> None:
    shape = {"vocab_size": 300, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2}  # fmt: skip
    config = LlamaConfig(**shape, attn_implementation="eager")
    model, counter = LlamaForCausalLM(config).eval(), FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        model(input_ids=torch.ones((1, positions), dtype=torch.long), logits_to_keep=1)
    counted = counter.get_total_flops()
    formula = step_flops(architecture.from_config(config), positions, positions)
    # Eager attention also works out what lies ahead, behind a mask: that is no part of the least.
    ahead = 4 * 2 * (positions * (positions - 1) // 2) * 32
    assert formula == pytest.approx(counted - ahead, rel=0.02)  # norms and rotations are not in the formula


@pytest.mark.parametrize(("name", "late"), [("gemma4, layers that share keys", True), ("gemma3n", False)])
@pytest.mark.parametrize(("positions", "logits"), [(1, 1), (6, 1), (6, 2)])
def test_flops_of_layers_that_read_the_keys_of_others_are_those_that_torch_counts(
    name: str, late: bool, positions: int, logits: int
) -> None:
    """Gemma 4 runs them for the positions alone whose logits are asked for, Gemma 3n for all."""
    config = CONFIG_MAPPING["gemma3n_text"](**GEMMA_3N) if name == "gemma3n" else tiny(name)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        model(input_ids=torch.ones((1, positions), dtype=torch.long), logits_to_keep=logits)
    found = architecture.from_config(config)
    assert len(found.borrowed) == 2 and (found.late_parameters > 0) == late
    # Eager attention also works out what lies ahead, behind a mask; no window is full yet.
    ahead = sum(
        n * 2 * found.heads * (layer.head_dim + layer.value_dim) * (ran * (ran - 1) // 2)
        for layer, n, few in found.attending
        for ran in [logits if few else positions]
    )
    formula = pass_flops(found, Pass(1, positions, positions, logits=logits))
    assert formula == pytest.approx(counter.get_total_flops() - ahead, rel=0.05)  # norms and rotations are not in it


@given(st.integers(1, 60), st.integers(0, 90), st.integers(1, 120))
def test_the_pairs_of_a_sliding_layer_are_the_sum_over_its_positions(new: int, before: int, window: int) -> None:
    """The closed form must be the sum: each query sees itself, those before it, and no more than its window."""
    context = before + new
    layer = replace(SLIDING, window=window - 1)
    seen = sum(min(position, window) for position in range(before + 1, context + 1))
    model = replace(arch(layer, layer), active_parameters=0)
    assert step_flops(model, new, context) == 4 * 2 * seen * 32


@given(st.integers(1, 60), st.integers(0, 90), st.integers(1, 120))
def test_a_chunk_begins_anew_where_a_window_would_slide(new: int, before: int, chunk: int) -> None:
    layer = replace(SLIDING, window=chunk - 1, chunked=True)
    seen = sum((position - 1) % chunk + 1 for position in range(before + 1, before + new + 1))
    assert query_key_pairs(new, before + new, layer) == seen


def test_the_flops_of_a_long_pass_over_windows_are_a_closed_form() -> None:
    """The floors of a lane without a cache are worked out for thousands of contexts."""
    model = arch(*[LayerCache("sliding", 2, 4, window=1023)] * 50, *[FULL] * 12)
    start = time.perf_counter()
    for context in range(1, 4097):
        step_flops(model, context, context)
    assert time.perf_counter() - start < 1.0  # the sum over positions took a hundred


def test_layers_of_different_widths_cost_in_proportion() -> None:
    """Gemma 4's full layers have wider heads than its sliding ones."""
    wide = LayerCache("full", kv_heads=1, head_dim=8, value_dim=6)
    model = replace(arch(wide, FULL), active_parameters=0)
    assert step_flops(model, 1, 50) == 2 * 8 * 50 * (8 + 6 + 4 + 4)


@given(st.lists(st.tuples(st.integers(1, 64), st.sampled_from([FULL, SLIDING])), min_size=1), st.integers(1, 60))
def test_each_layer_costs_in_proportion_to_its_own_query_heads(layers: list[tuple[int, LayerCache]], new: int) -> None:
    """And none of them changes what is kept."""
    mixed = arch(*(replace(layer, query_heads=heads) for heads, layer in layers))
    alone = [replace(arch(layer), heads=heads, active_parameters=0) for heads, layer in layers]
    assert step_flops(replace(mixed, active_parameters=0), new, 60) == sum(step_flops(one, new, 60) for one in alone)
    assert kv_bytes(mixed, 60, 2) == kv_bytes(arch(*(layer for _, layer in layers)), 60, 2)


@pytest.mark.parametrize(
    ("family", "numbers", "heads"),
    [
        (
            "laguna",
            MIXTURE | {"num_attention_heads_per_layer": [4, 16, 4, 16], "shared_expert_intermediate_size": 16},
            [4, 16, 4, 16],
        ),
        (
            "inkling_text",
            ROUTED
            | {"sliding_window_size": WINDOW, "swa_num_attention_heads": 8, "swa_num_key_value_heads": 4}
            | {"swa_head_dim": 8, "layer_types": ["hybrid_sliding", "hybrid"] * 2},
            [8, 4, 8, 4],
        ),
    ],
)
@pytest.mark.parametrize("past", [1, 5, 40])
def test_flops_of_layers_with_other_query_heads_are_those_that_torch_counts(
    family: str, numbers: dict[str, Any], heads: list[int], past: int
) -> None:
    """The products of attention alone: what is multiplied with weights does not depend on it."""
    config = CONFIG_MAPPING[family](**WINDOWED | NO_SPECIAL | {"num_hidden_layers": 4} | numbers)
    _, counter = counted(config, past)
    found = architecture.from_config(config)
    assert [layer.query_heads for layer in found.layers] == heads
    products = sum(
        of_each[torch.ops.aten.bmm]
        for module, of_each in counter.get_flop_counts().items()
        if module.endswith(".self_attn")
    )
    assert step_flops(replace(found, active_parameters=0, repeated_parameters=0), 1, past + 1) == products


def of_latents(key: int, value: int, rank: int, place: int, indexer: Indexer | None = None) -> Architecture:
    """8 heads over one layer of latents, without weights. An indexer's keys are 3 wide."""
    layer = LayerCache("full", 1, rank, place, index_elements=3 if indexer else 0, sparse=indexer is not None)
    made = replace(arch(layer), active_parameters=0, attention="latent")
    return replace(made, latent=Latent(key, value), indexer=indexer)


@given(st.integers(1, 50), st.integers(0, 90), st.integers(1, 40), st.integers(1, 40), st.integers(1, 80))
def test_a_latent_is_attended_to_in_the_way_that_takes_less(
    new: int, past: int, key: int, value: int, rank: int
) -> None:
    """Written out pair by pair: from the latent, or from keys and values that are computed of the past again."""
    pairs = sum(position for position in range(past + 1, past + new + 1))
    absorbed = pairs * (rank + 5 + rank)
    expanded = pairs * (key + 5 + value) + past * rank * (key + value)
    flops = step_flops(of_latents(key, value, rank, 5), new, past + new)
    assert flops <= 2 * 8 * min(absorbed, expanded)
    if key == value or not past:
        assert flops == 2 * 8 * (min(absorbed, expanded) if past else pairs * (min(key, rank) + 5 + min(value, rank)))


@pytest.mark.parametrize(("new", "context", "pairs"), [(1, 50, 7), (1, 4, 4), (9, 9, 28 + 2 * 7), (3, 8, 6 + 7 + 7)])
def test_positions_that_an_indexer_does_not_choose_cost_nothing(new: int, context: int, pairs: int) -> None:
    chosen = of_latents(key=4, value=4, rank=6, place=2, indexer=Indexer(chosen=7, products=0))
    past = max(0, min(context, 7) - new)
    assert step_flops(chosen, new, context) == 2 * 8 * (pairs * 2 + 2 * min(pairs * 6, (pairs + past * 6) * 4))


@given(st.integers(1, 50), st.integers(0, 50), st.integers(1, 9), st.integers(1, 60))
def test_an_indexer_scores_each_position_for_each_query(new: int, past: int, products: int, chosen: int) -> None:
    scores = step_flops(of_latents(4, 4, 6, 2, Indexer(chosen, products)), new, past + new) - step_flops(
        of_latents(4, 4, 6, 2, Indexer(chosen, 0)), new, past + new
    )
    assert scores == 2 * sum(range(past + 1, past + new + 1)) * products


@given(st.integers(0, 90), st.integers(1, 40), st.integers(0, 9), st.integers(1, 4))
def test_a_step_reads_the_chosen_keys_and_values_and_all_keys_of_the_indexer(
    positions: int, chosen: int, products: int, batch: int
) -> None:
    """Beside 5 + 2 numbers a position and 3 of the indexer: a layer with a window, read as it is kept, and states."""
    sparse = of_latents(4, 4, 5, 2, Indexer(chosen, products))
    model = replace(sparse, layers=(*sparse.layers, SLIDING, STATE))
    read = read_bytes(model, positions, 2, batch)
    others = kv_bytes(arch(SLIDING, STATE), positions, 2, batch)
    scored = positions if products else 0
    assert read == others + 2 * batch * ((5 + 2) * min(positions, chosen) + 3 * scored)
    assert read <= kv_bytes(model, positions, 2, batch)
    assert read_bytes(arch(FULL, SLIDING, STATE), positions, 2, batch) == kv_bytes(
        arch(FULL, SLIDING, STATE), positions, 2, batch
    )


def test_where_nobody_knows_how_many_positions_are_chosen_one_is_counted() -> None:
    unknown, one = (of_latents(4, 4, 6, 2, Indexer(chosen, 5)) for chosen in (None, 1))
    assert step_flops(unknown, 3, 50) == step_flops(one, 3, 50)
    assert read_bytes(unknown, 50, 2) == read_bytes(one, 50, 2) == 2 * (6 + 2 + 50 * 3)


def test_a_step_of_deepseek_v32_reads_2048_latents_and_all_keys_of_its_indexer() -> None:
    """DeepSeek-V3.2, arXiv:2512.02556: 61 layers with latents of 512 + 64 numbers and an indexer's keys of 128."""
    found = architecture.from_config(CONFIG_MAPPING["deepseek_v32"]())
    assert kv_bytes(found, 131_072, 2) == 61 * 2 * (512 + 64 + 128) * 131_072
    assert read_bytes(found, 131_072, 2) == 61 * 2 * ((512 + 64) * 2048 + 128 * 131_072)


@pytest.mark.parametrize("name", ["deepseek_v32, an indexer's keys", "glm_moe_dsa"])
@pytest.mark.parametrize("past", [1, 40])
def test_the_work_of_an_indexer_is_what_torch_counts(name: str, past: int) -> None:
    config = tiny(name)
    model, counter = counted(config, past)
    found = architecture.from_config(config)
    indexers = [module for module in model.modules() if type(module).__name__.endswith("Indexer")]
    weights = sum(weight.numel() for one in indexers for weight in one.parameters() if weight.ndim == 2)
    done = sum(
        flops
        for module, of_each in counter.get_flop_counts().items()
        if module.endswith(".indexer")
        for flops in of_each.values()
    )
    assert indexers
    scores = sum(index_width(found, layer) for layer in found.layers) * (past + 1)
    assert done == 2 * (weights + scores)


@pytest.mark.parametrize("context", [64, 1024, 8192])
def test_a_step_of_deepseek_v3_with_its_cache_takes_what_absorbed_attention_takes(context: int) -> None:
    config = CONFIG_MAPPING["deepseek_v3"](num_hidden_layers=2, first_k_dense_replace=2, vocab_size=512)
    found = architecture.from_config(config)
    assert found.latent == Latent(128, 128)
    attention = 2 * 2 * context * 128 * (512 + 64 + 512)  # 2 layers, 128 heads; the latent is 512 wide, its place 64
    assert step_flops(found, 1, context) == 2 * found.active_parameters + attention


@pytest.mark.parametrize("name", ["deepseek_v3", "deepseek_v32, an indexer's keys", "glm_moe_dsa"])
@pytest.mark.parametrize(("past", "new"), [(0, 1), (0, 40), (1, 1), (40, 1), (40, 8)])
def test_no_fewer_flops_are_counted_by_torch_with_latents_than_are_the_least(name: str, past: int, new: int) -> None:
    """transformers computes keys and values of the past again: what it does more than the least is that, by hand."""
    config = tiny(name)
    model, counter = counted(config, past, new)
    found, (rank, key, value, place, heads) = architecture.from_config(config), (16, 8, 6, 4, 4)
    norms = sum(weight.numel() for weight in model.parameters() if weight.ndim == 1)  # which are no matrix products
    least, done = step_flops(found, new, past + new) - 2 * new * norms, counter.get_total_flops()
    assert least <= done
    assert found.latent == Latent(key, value)
    assert found.indexer == (None if name == "deepseek_v3" else Indexer(chosen=4, products=2 * (8 + 1)))
    if not found.indexer:
        pairs = sum(range(past + 1, past + new + 1))
        shorter = [min(pairs * rank, (pairs + past * rank) * width) for width in (key, value)]
        left_out = new * (past + new) * (key + place + value) + past * rank * (key + value)
        more = 2 * 2 * heads * (left_out - pairs * place - sum(shorter))
        assert done == pytest.approx(least + more, rel=0.05)


@pytest.mark.parametrize("identities", [0, 1, 2, 12])
@pytest.mark.parametrize("new", [1, 9])
def test_no_fewer_flops_are_counted_by_torch_with_identities_for_experts_than_are_the_least(
    identities: int, new: int
) -> None:
    """Each position is sent to all the identities that can be chosen."""
    config = CONFIG_MAPPING["longcat_flash"](**LONGCAT, **NO_SPECIAL, zero_expert_num=identities)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    for name, scores in model.named_buffers():
        if name.endswith("e_score_correction_bias"):
            scores[4:] = 1e3
    with torch.inference_mode(), (counter := FlopCounterMode(display=False)):
        model(input_ids=torch.ones((1, new), dtype=torch.long), logits_to_keep=1)
    found = architecture.from_config(config)
    norms = sum(weight.numel() for weight in model.parameters() if weight.ndim == 1)  # which are no matrix products
    least, counted = step_flops(found, new, new) - 2 * new * norms, counter.get_total_flops()
    ahead = 2 * 4 * 4 * (8 + 4 + 6) * (new * (new - 1) // 2)  # eager attention computes what lies ahead, and masks it
    assert least == pytest.approx(counted - ahead, rel=0.001)


SMALL = GROUPED | NO_SPECIAL | {"head_dim": 8}
#: Classes whose last layer and logits have more between them than one matrix of hidden_size columns, or a narrower one.
HEADS: dict[str, dict[str, Any]] = {
    "bert": {}, "roformer": {}, "roberta": {}, "megatron-bert": {}, "modernbert-decoder": {},
    "electra": {"embedding_size": 8},
    "rembert": {"input_embedding_size": 8, "output_embedding_size": 40},
    "opt": {"word_embed_proj_dim": 16, "ffn_dim": 48},
}  # fmt: skip
#: Classes that pass through some of their weights several times, or multiply with one for each head.
REPEATING: dict[str, dict[str, Any]] = {
    "hrm_text": {},
    "inkling2_loop_text": {},
    "inkling_text": ROUTED | {"swa_head_dim": 8, "sliding_window_size": WINDOW},
}


@pytest.mark.parametrize("kind", HEADS | REPEATING)
@pytest.mark.parametrize(("past", "new"), [(40, 1), (0, 1), (0, 6)])
def test_flops_of_all_weights_are_those_that_torch_counts(kind: str, past: int, new: int) -> None:
    """Also of those that are neither in a layer nor the projection onto the vocabulary, and of those that run again."""
    config = CONFIG_MAPPING[kind](**SMALL | (HEADS | REPEATING)[kind])
    model, counter = counted(config, past, new)
    found = architecture.from_config(config)
    # Eager attention also works out what lies ahead, behind a mask; short convolutions also what is before the text.
    pairs = new * (new - 1) // 2
    ahead = sum(
        n * 2 * found.heads_of(layer) * (layer.head_dim + layer.value_dim) * pairs for layer, n, _ in found.attending
    )
    padded = counter.get_flop_counts()["Global"].get(torch.ops.aten.convolution, 0)
    short = [weight.numel() for name, weight in model.named_parameters() if "conv" in name]
    least = step_flops(without_vectors(found, model), new, past + new) - 2 * new * sum(short)
    assert least == pytest.approx(counter.get_total_flops() - ahead - padded, rel=0.003)
    assert (found.repeated_parameters > 0) == (kind in REPEATING)


def test_blocks_that_layers_share_are_multiplied_with_once_for_each_layer() -> None:
    """A step of Zamba2: two blocks in 9 of 54 layers. All its matrices are linear layers, and one is the head too."""
    config = CONFIG_MAPPING["zamba2"](
        **SIZES, **NO_SPECIAL, num_key_value_heads=4, n_mamba_heads=2, mamba_ngroups=1, mamba_d_state=8,
        mamba_headdim=32, adapter_rank=4, use_mem_eff_path=False
    )  # fmt: skip
    model, counter = counted(config, 2)
    found = architecture.from_config(config)
    matrices = sum(weight.numel() for weight in model.parameters() if weight.ndim == 2)
    done = counter.get_flop_counts()["Global"][torch.ops.aten.mm]
    assert done == 2 * (matrices + found.repeated_parameters)
    assert found.repeated_parameters > 0.3 * found.active_parameters


def without_vectors(found: Architecture, model: PreTrainedModel) -> Architecture:
    """The same model without norms and biases, which are in no matrix product."""
    vectors = {name: weight.numel() for name, weight in model.named_parameters() if weight.ndim == 1}
    decoder = {id(weight) for weight in model.base_model.parameters()}
    head = sum(n for name, n in vectors.items() if id(model.get_parameter(name)) not in decoder)
    return replace(
        found,
        active_parameters=found.active_parameters - sum(vectors.values()),
        head_parameters=(found.head_parameters or 0) - head,
    )


@pytest.mark.parametrize(("kind", "least_share", "most_share"), [("diffllama", 0.6, 0.75), ("doge", 0.7, 0.9)])
def test_attention_that_multiplies_more_than_the_cache_shows_is_counted_too_low(
    kind: str, least_share: float, most_share: float
) -> None:
    """The docstring of `step_flops` says so. A step at 141 positions."""
    config = CONFIG_MAPPING[kind](**GROUPED, **NO_SPECIAL)
    _, counter = counted(config, 140)
    share = step_flops(architecture.from_config(config), 1, 141) / counter.get_total_flops()
    assert least_share < share < most_share


def test_the_flops_of_a_pass_are_the_sum_over_its_rows() -> None:
    model = replace(arch(FULL, SLIDING), vocab_size=10)
    assert pass_flops(model, Pass(64, 1, 50)) == 64 * step_flops(model, 1, 50)
    # All logits: the vocabulary head of 10 · 32 runs for each position.
    assert pass_flops(model, Pass(1, 5, 50, logits=5)) - step_flops(model, 5, 50) == 2 * 4 * 320


@pytest.mark.parametrize(("rows", "logits"), [(3, 1), (3, 7)])
def test_flops_of_several_rows_and_logits_are_those_that_torch_counts(rows: int, logits: int) -> None:
    config = LlamaConfig(vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=2, attn_implementation="eager")  # fmt: skip
    model, counter = LlamaForCausalLM(config).eval(), FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        model(input_ids=torch.ones((rows, 7), dtype=torch.long), logits_to_keep=logits)
    formula = pass_flops(architecture.from_config(config), Pass(rows, 7, 7, logits=logits))
    ahead = rows * 4 * 2 * (7 * 6 // 2) * 32
    assert formula == pytest.approx(counter.get_total_flops() - ahead, rel=0.02)


def test_the_decode_floor_is_bytes_read_over_bandwidth() -> None:
    assert decode_floor_s(26e9, 6e9, 16e9) == 2.0


@pytest.mark.parametrize("prompt", [1, 5])
@pytest.mark.parametrize("new", [0, 1, 7])
def test_positions_run_with_and_without_a_cache_are_counted(prompt: int, new: int) -> None:
    assert positions_uncached(prompt, new) == sum(prompt + i for i in range(new))
    assert positions_cached(prompt, new) == sum([prompt, *[1] * (new - 1)] if new else [])


def test_a_repeated_head_counts_once_where_heads_are_shared() -> None:
    model = arch(LayerCache("full", kv_heads=8, head_dim=4), STATE, repeats=4)
    assert kv_bytes_per_token(shared(model), 2) * 4 == kv_bytes_per_token(model, 2)
    assert shared(model).repeats == 1


def test_the_length_at_which_the_cache_outgrows_the_weights_is_found() -> None:
    assert outgrows_weights_at(arch(FULL), 2, 320) == 11  # 10 positions are just as large
    assert outgrows_weights_at(arch(FULL), 2, 319) == 10
    assert outgrows_weights_at(arch(FULL), 2, 5) == 1
    assert outgrows_weights_at(arch(SLIDING, STATE), 2, 10_000) is None
    assert outgrows_weights_at(arch(SLIDING), 2, 100) == 4


LAYERS = st.lists(st.sampled_from([FULL, SLIDING, STATE]), min_size=1, max_size=5)


@given(LAYERS, st.integers(-5, 10**9), st.integers(1, 5))
def test_the_largest_fitting_length_fits_and_one_more_does_not(
    layers: list[LayerCache], budget: int, batch: int
) -> None:
    model = arch(*layers)
    most = most_positions(model, 2, budget, batch)
    if most is None:
        assert kv_bytes(model, 10**12, 2, batch) <= budget
    else:
        assert most == 0 or kv_bytes(model, most, 2, batch) <= budget
        assert kv_bytes(model, most + 1, 2, batch) > budget
