import copy
import json
import math
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoModel,
    AutoModelForCausalLM,
    DynamicCache,
    PreTrainedConfig,
    PreTrainedModel,
)

from kvdemo.core.errors import BadInput
from kvdemo.costs.architecture import Indexer, Latent, shared
from kvdemo.costs.formulas import kv_bytes, kv_bytes_per_token, read_bytes
from kvdemo.costs.planner import plan
from kvdemo.models.facts import architecture, config_check, meta_run
from kvdemo.models.network.cache_argument import cache_kwargs
from tests.models.saved import refusal, small_tokenizer
from tests.models.stub_hub import Hub, serving
from tests.models.tiny_configs import (
    GROUPED,
    INDEXED,
    INDEXER,
    LATENT,
    LAYERS,
    MIXTURE,
    NO_SPECIAL,
    ROUTED,
    SIZES,
    TINY,
    WINDOW,
    tiny,
)
from tests.models.wrappers import flat
from tests.tiny_models import loaded

LLAMA_8B = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 128256,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "rope_theta": 500000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
LLAMA_2_7B = LLAMA_8B | {"vocab_size": 32000, "intermediate_size": 11008, "num_key_value_heads": 32}
LLAMA_70B = LLAMA_8B | {"hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80}
LLAMA_70B |= {"num_attention_heads": 64}
GPT2 = {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_layer": 12, "n_head": 12, "n_embd": 768}
QWEN3 = {
    "model_type": "qwen3",
    "vocab_size": 151936,
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "sliding_window": None,
    "use_sliding_window": False,
    "tie_word_embeddings": True,
}
DEEPSEEK_V3 = {"model_type": "deepseek_v3", "architectures": ["DeepseekV3ForCausalLM"]}


def live_bytes(cache: DynamicCache) -> int:
    """Bytes of every tensor that the cache's layers hold, wherever they hold it."""

    def tensors(value: Any) -> Iterator[torch.Tensor]:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, dict):
            for name, inner in value.items():
                if name != "_sliding_window_tensor":  # the window's size, one number
                    yield from tensors(inner)

    return sum(tensor.nbytes for layer in cache.layers for tensor in tensors(vars(layer)))


def causal(config: PreTrainedConfig) -> PreTrainedModel:
    """The model of a configuration; without the head, where transformers has none for the text part alone."""
    known = type(config) in MODEL_FOR_CAUSAL_LM_MAPPING
    model: PreTrainedModel = (AutoModelForCausalLM if known else AutoModel).from_config(
        config, attn_implementation="eager", experts_implementation="eager"
    )
    return model


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", [*TINY, *INDEXED])
def test_the_formula_gives_the_bytes_of_a_live_cache_exactly(name: str, dtype: torch.dtype) -> None:
    config = tiny(name)
    arch = architecture.from_config(config)
    torch.manual_seed(0)
    model = causal(config).eval().to(dtype)
    cache = DynamicCache(config=model.config)
    held = 0
    for new in (1, 4, 1, 1, 1, 1, 7, 1):  # past the window by single tokens, and by a chunk
        with torch.inference_mode():
            ids = torch.randint(3, 60, (2, new))
            model(input_ids=ids, **cache_kwargs(model, cache))
        held += new
        assert kv_bytes(arch, held, dtype.itemsize, batch=2) == live_bytes(cache), f"after {held} positions"
    assert held > 2 * WINDOW
    head = 0 if model.get_output_embeddings() else model.get_input_embeddings().weight.numel()
    assert arch.parameters == sum(p.numel() for p in model.parameters()) + head


@pytest.mark.parametrize(
    ("family", "numbers", "places"),
    [
        ("mistral_large4_text", {"no_rope_layers": [1, 0], "head_dim": 4}, [4, 0]),
        (
            "glm5_next_text",
            {"qk_rope_head_dim": 0, "index_topk": 8, "index_kpool": 4, "linear_head_dim": 8, "linear_num_heads": 4}
            | {"hc_mult": 2, "layer_types": ["indexed_attention"] * 2},
            [0, 0],
        ),
    ],
)
def test_latents_that_keep_no_place_are_counted_as_they_are_kept(
    family: str, numbers: dict[str, Any], places: list[int]
) -> None:
    """Such layers hold values of no width beside the latent: no numbers, and not as many as the latent has."""
    config = CONFIG_MAPPING[family](**SIZES | LAYERS | LATENT | INDEXER | NO_SPECIAL | numbers)
    arch, model = architecture.from_config(config), AutoModel.from_config(config).eval()
    cache = DynamicCache(config=config)
    for held in (1, 5, 6):
        with torch.inference_mode():
            ids = torch.zeros((1, held - cache.get_seq_length()), dtype=torch.long)
            model(input_ids=ids, past_key_values=cache)
        assert kv_bytes(arch, held, 4) == live_bytes(cache)
    assert arch.attention == "latent"
    assert [layer.value_dim for layer in arch.layers] == places


@pytest.mark.parametrize("kind", ["qwen4_exp", "glm5_next"])
def test_of_an_indexer_that_scores_groups_one_key_of_each_whole_group_is_read(kind: str) -> None:
    """Of its two layers, one has an indexer: the other has states (Qwen4), or shares the choice (GLM-5-Next)."""
    if kind == "qwen4_exp":
        config = tiny("qwen4_exp, an indexer of groups")
    else:
        numbers = {"qk_rope_head_dim": 0, "index_topk": 8, "index_kpool": 4, "linear_head_dim": 8, "hc_mult": 2}
        numbers |= {
            "linear_num_heads": 4,
            "layer_types": ["indexed_attention"] * 2,
            "indexer_types": ["full", "shared"],
        }
        config = CONFIG_MAPPING["glm5_next_text"](**SIZES | LAYERS | LATENT | INDEXER | NO_SPECIAL | numbers)
    arch = architecture.from_config(config)
    # past the 8 positions that are chosen, the keys of the groups of 4 alone grow: 8 numbers of 2 bytes each
    read = [read_bytes(arch, positions, 2) - read_bytes(arch, 8, 2) for positions in (8, 11, 12, 15, 16, 808)]
    assert read == [0, 0, 16, 16, 32, 200 * 16]
    assert read_bytes(arch, 808, 2) < kv_bytes(arch, 808, 2)


@pytest.mark.parametrize("name", [*TINY, *INDEXED])
def test_the_kind_of_attention_and_of_each_layer_is_read(name: str) -> None:
    _, _, attention, kinds = (TINY | INDEXED)[name]
    arch = architecture.from_config(tiny(name))
    assert arch.attention == attention
    assert tuple(sorted({layer.kind for layer in arch.layers})) == kinds
    assert arch.heads == 4


@pytest.mark.parametrize(
    ("name", "indexer", "sparse"),
    [
        ("deepseek_v32, an indexer's keys", Indexer(4, 2 * (8 + 1)), (True, True)),
        ("dots3_note, latents of two ranks", Indexer(4, 2 * (8 + 1)), (True, True, False, False)),
        ("mistral_large4, latents of other layers", Indexer(4, 2 * (8 + 1)), (True,) * 6),
        ("minimax_m3, an indexer of blocks", Indexer(4 + 1, 2 * 8), (False, True)),
        ("qwen4_exp, an indexer of groups", Indexer(8, 0, 4, 8), (False, True)),
        ("llama", None, (False, False)),
    ],
)
def test_what_an_indexer_chooses_is_read_under_any_of_its_names(
    name: str, indexer: Indexer | None, sparse: tuple[bool, ...]
) -> None:
    arch = architecture.from_config(tiny(name))
    assert arch.indexer == indexer
    assert tuple(layer.sparse for layer in arch.layers) == sparse


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deepseek_v32, an indexer's keys", *INDEXED])
def test_no_query_looks_at_fewer_positions_than_an_indexer_is_said_to_choose(name: str) -> None:
    torch.manual_seed(0)
    config = tiny(name)
    indexer = architecture.from_config(config).indexer
    assert indexer and indexer.chosen
    with torch.inference_mode():
        ran = causal(config).eval()(input_ids=torch.randint(3, 60, (1, 30)), output_attentions=True)
    fewest = torch.stack([(one > 0).sum(-1).amin((0, 1)) for one in ran.attentions if one is not None]).amin(0)
    assert all(fewest >= torch.arange(1, 31).clamp(max=indexer.chosen))
    assert fewest[-1] < 30


@pytest.mark.parametrize("numbers", [{}, {"indexer_types": ["full", "shared", "shared"] * 2}])
def test_layers_that_attend_to_the_latents_of_another_one_are_found(numbers: dict[str, Any]) -> None:
    kind, given, _, _ = INDEXED["mistral_large4, latents of other layers"]
    arch = architecture.from_config(CONFIG_MAPPING[kind](**given, **numbers))
    assert (arch.attention, arch.latent) == ("latent", Latent(8, 6))
    assert arch.borrowed == (arch.layers[0],) * 4
    assert sum(n for _, n, _ in arch.attending) == 6
    assert sum(layer.indexed for layer in arch.layers) == (2 if numbers else 6)


def test_a_transformers_window_of_w_keeps_w_minus_1() -> None:
    windows = {layer.window for layer in architecture.from_config(tiny("mistral")).layers}
    assert windows == {WINDOW - 1}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "per_token", "parameters"),
    [
        (GPT2, 36_864, 124_439_808),
        (LLAMA_2_7B, 524_288, 6_738_415_616),
        (LLAMA_8B, 131_072, 8_030_261_248),
        (LLAMA_70B, 327_680, 70_553_706_496),
        (QWEN3, 114_688, 596_049_920),
        (DEEPSEEK_V3, 70_272, 671_026_404_352),  # the latent: (512 + 64) numbers · 61 layers
    ],
    ids=["gpt2", "Llama-2-7B", "Llama-3.1-8B", "Llama-3-70B", "Qwen3-0.6B", "DeepSeek-V3"],
)
def test_cache_and_parameters_are_those_that_were_published(
    config: dict[str, Any], per_token: int, parameters: int
) -> None:
    arch = architecture.parse(json.dumps(config))
    assert kv_bytes_per_token(arch, 2) == per_token
    assert arch.parameters == parameters


def test_active_parameters_leave_out_looked_up_tables_and_idle_experts() -> None:
    llama = architecture.parse(LLAMA_2_7B)
    assert llama.active_parameters == llama.parameters - 32000 * 4096  # the embedding: one row is read
    gpt2 = architecture.parse(GPT2)
    assert gpt2.active_parameters == gpt2.parameters - 1024 * 768  # tied: the vocabulary projection reads it whole
    config = tiny("mixtral")
    arch = architecture.from_config(config)
    expert = 3 * config.hidden_size * config.intermediate_size
    table = config.vocab_size * config.hidden_size
    assert arch.active_parameters == arch.parameters - table - config.num_hidden_layers * 2 * expert


def test_a_model_of_several_stacks_of_layers_is_refused_in_a_sentence_that_says_so() -> None:
    """BLT has an encoder, a decoder and a part between them, and no number of layers of its own."""
    sizes = {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 4, "num_hidden_layers": 1}
    part = sizes | {"intermediate_size": 48, "hidden_size_global": 32, "head_dim": 8, "vocab_size": 400}
    parts = {f"{name}_config": dict(part) for name in ("patcher", "encoder", "decoder", "global")}
    config = CONFIG_MAPPING["blt"](vocab_size=400, encoder_hash_byte_group_vocab=100, **parts)
    with pytest.raises(BadInput, match="^blt is not supported: it has no single list of layers that a cache"):
        architecture.from_config(config, "blt")


def test_a_configuration_object_is_left_as_it_was() -> None:
    config = tiny("llama")
    before = copy.deepcopy(config.to_dict())
    architecture.from_config(config)
    assert config.to_dict() == before


def test_torchs_default_number_format_is_never_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "set_default_dtype", lambda _: pytest.fail("other threads decode meanwhile"))
    architecture.parse(LLAMA_8B | {"dtype": "bfloat16"})


@pytest.mark.slow  # it lays out networks of full size
def test_falcons_shared_heads_are_distinguished_from_repeated_ones() -> None:
    falcon_40b = {"model_type": "falcon", "vocab_size": 65024, "hidden_size": 8192, "num_hidden_layers": 60}
    falcon_40b |= {"num_attention_heads": 128, "num_kv_heads": 8, "new_decoder_architecture": True}
    arch = architecture.parse(falcon_40b)
    assert (arch.attention, arch.repeats) == ("grouped-query", 16)
    assert kv_bytes_per_token(shared(arch), 2) == 2 * 60 * 8 * 64 * 2
    assert kv_bytes_per_token(arch, 2) == 16 * 2 * 60 * 8 * 64 * 2  # the live tensors: see above
    assert architecture.parse(LLAMA_8B).repeats == 1


INKLING = NO_SPECIAL | ROUTED | {"head_dim": 8, "swa_head_dim": 8, "sliding_window_size": WINDOW}


@pytest.mark.parametrize(
    "numbers",
    [
        {"swa_num_attention_heads": 8, "swa_num_key_value_heads": 4},
        {"swa_num_attention_heads": 8, "swa_num_key_value_heads": 8},
        {"swa_num_attention_heads": 4, "swa_num_key_value_heads": 4},
    ],
)
def test_heads_are_repeated_only_where_fewer_are_computed(numbers: dict[str, int]) -> None:
    """All layers of inkling are sliding here; `num_key_value_heads` is of the full layers that it has none of."""
    config = CONFIG_MAPPING["inkling_text"](**GROUPED | INKLING | numbers)
    arch, model = architecture.from_config(config), AutoModelForCausalLM.from_config(config).eval()
    cache = DynamicCache(config=config)
    with torch.inference_mode():
        model(input_ids=torch.zeros((1, 5), dtype=torch.long), past_key_values=cache)
    assert arch.repeats == 1
    assert kv_bytes(shared(arch), 5, 4) == live_bytes(cache)
    same = len({layer.kv_heads for layer in arch.layers} | set(arch.all_heads)) == 1
    assert arch.attention == ("multi-head" if same else "grouped-query")


@pytest.mark.parametrize("name", TINY)
def test_the_query_heads_of_each_layer_are_seen_in_a_pass(name: str) -> None:
    arch = architecture.from_config(tiny(name))
    seen = [layer.query_heads for layer in (*arch.layers, *arch.borrowed) if layer.kv_heads]
    assert seen == ([2, 4] if name.startswith("laguna") else [4] * len(seen))


@pytest.mark.parametrize(
    ("family", "numbers", "heads"),
    [
        (
            "dots3_note_text",
            {"swa_num_attention_heads": 16, "swa_num_key_value_heads": 16, "swa_q_lora_rank": 12, "swa_head_dim": 12}
            | {"swa_kv_lora_rank": 24, "swa_qk_nope_head_dim": 8, "swa_v_head_dim": 6, "sliding_window": WINDOW}
            | {"shared_experts_intermediate_size": 16},
            {4, 16},
        ),
        (  # its two residual streams are mixed by a softmax that is none of attention's
            "glm5_next_text",
            {"qk_rope_head_dim": 0, "index_topk": 8, "index_kpool": 4, "linear_head_dim": 8, "linear_num_heads": 4}
            | {"hc_mult": 2, "layer_types": ["indexed_attention"] * 4},
            {4},
        ),
    ],
)
def test_query_heads_are_those_of_attention_and_of_each_layer(
    family: str, numbers: dict[str, Any], heads: set[int]
) -> None:
    config = CONFIG_MAPPING[family](**SIZES | LATENT | INDEXER | NO_SPECIAL | {"num_hidden_layers": 4} | numbers)
    assert {layer.query_heads for layer in architecture.from_config(config).layers} == heads


@pytest.mark.slow  # it lays out networks of full size
def test_a_multimodal_model_is_planned_by_its_text_part() -> None:
    text = {k: v for k, v in LLAMA_8B.items() if k != "architectures"}
    llava = {"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"], "text_config": text}
    arch = architecture.parse(llava)
    assert kv_bytes_per_token(arch, 2) == 131_072
    assert arch.parameters == architecture.parse(LLAMA_8B).parameters
    small = {"vision_config": {"num_hidden_layers": 1, "hidden_size": 32, "num_attention_heads": 2}}
    gemma = {"model_type": "gemma3", "text_config": {"num_hidden_layers": 6, "sliding_window": 512}} | small
    assert [layer.kind for layer in architecture.parse(gemma).layers] == ["sliding"] * 5 + ["full"]


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 3), st.sampled_from([16, 64]))
def test_of_a_flat_configuration_the_text_part_is_planned_whatever_reads_pictures(layers: int, width: int) -> None:
    small, large = (
        architecture.from_config(flat(**vision).config)
        for vision in ({}, {"num_hidden_layers": layers, "intermediate_size": width})
    )
    assert small == large
    assert small.text_part


def test_of_phi_4_multimodal_the_text_part_is_planned() -> None:
    """What reads pictures and sound has its default size, some 870 million parameters."""
    arch = architecture.from_config(CONFIG_MAPPING["phi4_multimodal"](**GROUPED, **NO_SPECIAL))
    text = architecture.from_config(CONFIG_MAPPING["phi3"](**GROUPED, **NO_SPECIAL, tie_word_embeddings=False))
    assert arch.parameters == text.parameters
    assert arch.active_parameters == text.active_parameters
    assert any("more than text" in note for note in plan(arch, memory_bytes=10**9, bandwidth_bytes_per_s=1e9)["notes"])


def test_what_text_alone_may_pass_by_is_held_nonetheless() -> None:
    """TrOCR's decoder attends to what an encoder read; its configuration has no part for anything but text."""
    config = CONFIG_MAPPING["trocr"](
        vocab_size=64, d_model=32, decoder_layers=2, decoder_attention_heads=4, decoder_ffn_dim=48, **NO_SPECIAL
    )
    arch = architecture.from_config(config)
    assert not arch.text_part
    assert arch.parameters > arch.active_parameters + 64 * 32
    assert arch.parameters == sum(x.numel() for x in AutoModelForCausalLM.from_config(config).parameters())


@pytest.mark.parametrize(
    ("family", "fields"),
    [
        ("gpt2", {"pad_token_id": 7}),
        ("gpt2", {"pad_token_id": 2}),  # the same as the end of a text
        *((family, {"moe_intermediate_size": 12}) for family in ("afmoe", "ernie4_5_moe", "glm4_moe", "qwen3_moe")),
        ("qwen2_moe", {"moe_intermediate_size": 12, "shared_expert_intermediate_size": 12}),
        ("olmoe", {"intermediate_size": 12}),
    ],
)
def test_padding_and_experts_of_any_width_are_planned_and_their_memory_is_counted(
    family: str, fields: dict[str, Any]
) -> None:
    """A pass looks for padding in the ids, and the meta device has no product of experts of odd widths."""
    config = CONFIG_MAPPING[family](**GROUPED | MIXTURE | NO_SPECIAL | {"head_dim": 8} | fields)
    arch = architecture.from_config(config)
    model = loaded(family, AutoModelForCausalLM.from_config(config).eval(), small_tokenizer())
    assert model.layers == arch.layers
    assert model.widths
    assert (model.pass_memory.bytes(64) or 0) > (model.pass_memory.bytes(1) or 0) > 0


@pytest.mark.parametrize(
    ("read", "found"),
    [
        (lambda tensor: 1 in tensor, False),
        (lambda tensor: float(tensor[0]), 0.0),
        (lambda tensor: [*range(tensor[0])], []),
        (lambda tensor: torch.equal(tensor, tensor), True),
        (lambda tensor: tensor.allclose(tensor), True),
        (lambda tensor: len(torch.split(tensor, tensor.tolist())), 3),
    ],
)
def test_what_reads_a_tensor_without_numbers_finds_zeros(read: Callable[[torch.Tensor], Any], found: object) -> None:
    with meta_run.on_meta():
        assert read(torch.zeros(3, dtype=torch.long)) == found


def with_(**fields: Any) -> dict[str, Any]:
    return LLAMA_8B | fields


NO_CONFIG = [
    ("", "not valid JSON"),
    ("hello", "not valid JSON (line 1)"),
    ("[1, 2]", "no JSON object"),
    ("3", "no JSON object"),
    ("null", "no JSON object"),
    ("{}", "does not say what it describes"),
    ('{"model_type": 5}', "does not say what it describes"),
    ('{"model_type": "' + "x" * 5000 + '"}', "does not say what it describes"),
    ('{"model_type": "llama", "architectures": ["<b>"]}', "does not say what it describes"),
    ('{"a": ' * 100_000, "not valid JSON"),
    ('{"a": ' + "[" * 30 + "]" * 30 + "}", "nested more than"),
    ('{"model_type": "llama", "x": "' + "y" * 10_000_000 + '"}', "characters"),
    ('{"model_type": "llama", "vocab_size": ' + "9" * 5000 + "}", "not valid JSON"),
    ('{"model_type": "llama", "rms_norm_eps": NaN}', "nan for 'rms_norm_eps'"),
    ('{"model_type": "llama", "hidden_size": Infinity}', "inf"),
    (with_(model_type="no-such-model"), "does not know"),
    (with_(model_type="mine", auto_map={"AutoConfig": "evil.Config"}), "never run here"),
    (with_(model_type="t5", architectures=["T5ForConditionalGeneration"]), "reads a whole text at once"),
    (with_(model_type="bert", architectures=["BertForMaskedLM"]), "choose a causal"),
    ({"model_type": "bert"}, "choose a causal"),
    ({"model_type": "t5"}, "choose a causal"),
    ({"model_type": "marian", "is_encoder_decoder": False}, "reads a whole text at once"),
    ({"model_type": "gemma3", "vision_config": {"model_type": "pegasus"}}, "of the type pegasus"),
    ({"model_type": "clip", "text_config": {}}, "no causal language model"),
    ({"model_type": "mamba"}, "keeps no keys and values that grow with the text: choose a model with attention"),
    ({"model_type": "recurrent_gemma"}, "outside of transformers' DynamicCache"),
    ({"model_type": "rwkv"}, "takes no cache"),
    (with_(num_hidden_layers=10**6), "from 1 to 400"),
    (with_(num_hidden_layers=0), "from 1 to 400"),
    (with_(num_hidden_layers=-3), "from 1 to 400"),
    (with_(num_hidden_layers="32"), "must be a whole number"),
    (with_(num_hidden_layers=1.5), "must be a whole number"),
    (with_(num_hidden_layers=True), "must be a whole number"),
    (with_(hidden_size={"a": 1}), "is not supported"),
    (with_(hidden_size=[4096]), "is not supported"),
    (with_(hidden_size=2**40), "'hidden_size'"),
    (with_(vocab_size=10**15), "'vocab_size'"),
    (with_(vocab_size=-1), "'vocab_size'"),
    (with_(num_key_value_heads=7), "is not supported"),
    (with_(num_key_value_heads=0), "'num_key_value_heads'"),
    (with_(num_attention_heads=10**5), "'num_attention_heads'"),
    (with_(head_dim=-8), "'head_dim'"),
    (with_(some_list_length=10**12), "'some_list_length'"),
    (with_(mtp_layers=10**6), "'mtp_layers'"),
    (with_(hidden_act="no-such-function"), "from its configuration (code that it needs fails)"),
    (with_(layer_types=["full_attention"]), "is not supported"),
    (with_(rope_parameters=3), "is not supported"),
    (with_(pad_token_id=10**7), "is not supported"),
    ({"model_type": "llama", 3: {4}}, "which JSON does not know"),
    ({"model_type": "llama", "huge": 10**6000}, "a huge number"),
    ({"model_type": "mistral", "sliding_window": 1}, "'sliding_window'"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("config", "says"), NO_CONFIG, ids=[f"{n}" for n in range(len(NO_CONFIG))])
def test_an_invalid_configuration_gets_one_sentence(config: Any, says: str) -> None:
    sentence = refusal(lambda: architecture.parse(config))
    assert says in sentence
    assert sentence.isprintable()


def test_an_endless_construction_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meta_run, "MOST_CALLS", 1000)
    assert "more parts than" in refusal(lambda: architecture.parse(with_(num_hidden_layers=400)))


def test_a_configuration_names_no_kernels_and_no_quantiser() -> None:
    asks = {"attn_implementation": "kernels-community/flash", "_attn_implementation": "no-such", "dtype": "float99"}
    asks |= {"quantization_config": {"quant_method": "no-such"}, "num_labels": 2**24, "experts_implementation": "x"}
    asks |= {"auto_map": {"AutoModelForCausalLM": "someone/evil--modeling.Evil"}}
    assert kv_bytes_per_token(architecture.parse(LLAMA_8B | asks), 2) == 131_072


def test_mambas_infinite_step_size_is_accepted() -> None:
    text = '{"model_type": "falcon_h1", "time_step_limit": [0.0, Infinity]}'
    assert config_check.read(text, "It")["time_step_limit"] == [0.0, math.inf]


ANY_VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, -1, 1, 3, 2**24, 2**31]),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(-3, 9), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
FIELDS = [*LLAMA_8B, "head_dim", "layer_types", "sliding_window", "hidden_act", "rope_parameters", "per_layer_config"]


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.sampled_from(FIELDS), ANY_VALUE, min_size=1, max_size=3))
def test_any_configuration_gives_a_model_or_one_sentence(fields: dict[str, Any]) -> None:
    try:
        architecture.parse(LLAMA_8B | {"num_hidden_layers": 2} | fields)
    except BadInput as error:
        assert "\n" not in str(error)
        assert str(error).isprintable()
        assert len(str(error)) < 500


# Where a configuration comes from.


@pytest.fixture(autouse=True)
def no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, and an address at which nobody listens."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    point(monkeypatch, "http://127.0.0.1:9")


def point(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")


def test_a_folder_is_read_and_on_a_public_server_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_8B))
    arch = architecture.from_hub(str(tmp_path))
    assert (kv_bytes_per_token(arch, 2), arch.name) == (131_072, str(tmp_path))
    assert "cannot be opened" in refusal(lambda: architecture.from_hub(str(tmp_path), allow_folders=False))
    assert "no config.json that can be read" in refusal(lambda: architecture.from_hub(str(tmp_path / "nothing")))
    assert "no config.json that can be read" in refusal(lambda: architecture.from_hub("~nobody-of-that-name/x"))
    (tmp_path / "config.json").write_text("{")
    assert "not valid JSON" in refusal(lambda: architecture.from_hub(str(tmp_path)))
    (tmp_path / "config.json").write_text(" " * 2_000_000)
    assert "2,000,000 bytes" in refusal(lambda: architecture.from_hub(str(tmp_path)))


@pytest.mark.parametrize("typed", ["SmolLM2-135M-Instruct", "random:smollm2-135m"])
def test_the_default_model_and_shapes_need_no_hub(typed: str) -> None:
    arch = architecture.from_hub(typed)
    assert (arch.parameters, arch.context_length) == (134_515_008, 8192)
    assert kv_bytes_per_token(arch, 2) == 2 * 30 * 3 * 64 * 2


def test_config_json_alone_is_fetched_and_then_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA_8B))
    (folder / "model.safetensors").write_text("weights")
    stub = Hub({"someone/llama": folder})
    with serving(stub) as address:
        point(monkeypatch, address)
        assert architecture.from_hub("someone/llama").name == "someone/llama"
        assert [path for path in stub.asked if "resolve" in path and not path.endswith("/config.json")] == []
        stub.asked.clear()
        architecture.from_hub("someone/llama")
        assert stub.asked == []
        stub.sizes["config.json"] = 2_000_000
        stub.repositories["someone/large"] = stub.repositories["someone/gated"] = folder
        assert "2,000,000 bytes" in refusal(lambda: architecture.from_hub("someone/large"))
        assert stub.fetched[-1].startswith("/api/models/someone/large")
        stub.sizes.clear()
        stub.refuse["/resolve/"] = (401, "GatedRepo", "Access is restricted.")
        assert "is gated" in refusal(lambda: architecture.from_hub("someone/gated"))


def test_a_stranger_learns_nothing_by_the_operators_token_or_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "config.json").write_text(json.dumps(LLAMA_8B))
    monkeypatch.setenv("HF_TOKEN", "hf_operators")
    stub = Hub({"someone/private": tmp_path / "repository"})
    with serving(stub) as address:
        point(monkeypatch, address)
        architecture.from_hub("someone/private")
        assert set(stub.tokens) == {"Bearer hf_operators"}
        stub.tokens.clear()
        architecture.from_hub("someone/private", own=False)  # though it is in the cache by now
        assert set(stub.tokens) == {None}
        stub.repositories.clear()
        assert "someone/private" in refusal(lambda: architecture.from_hub("someone/private", own=False))


def test_a_config_json_fetched_for_a_stranger_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "config.json").write_text(json.dumps(LLAMA_8B))
    with serving(Hub({"someone/llama": tmp_path / "repository"})) as address:
        point(monkeypatch, address)
        assert architecture.from_hub("someone/llama", own=False).name == "someone/llama"
    assert not (tmp_path / "hub-cache").exists()


def test_an_unreachable_or_silent_hub_gives_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "cannot be reached" in refusal(lambda: architecture.from_hub("someone/llama"))
    monkeypatch.setattr(architecture, "PATIENCE_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        point(monkeypatch, f"http://127.0.0.1:{server.getsockname()[1]}")
        assert "does not answer" in refusal(lambda: architecture.from_hub("someone/llama"))


@pytest.mark.parametrize("word", ["type", "rope_type"])
@pytest.mark.parametrize("kind", ["su", "mrope", "foo"])
def test_an_unknown_type_of_rotary_positions_is_named_as_one(kind: str, word: str) -> None:
    raw = {
        "model_type": "llama",
        "hidden_size": 64,
        "num_attention_heads": 4,
        "rope_scaling": {word: kind, "factor": 2},
    }
    said = refusal(lambda: architecture.parse(raw))
    assert f"has rotary positions of the type '{kind}', which transformers" in said


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (
            {"model_type": "llama", "hidden_size": 250, "num_attention_heads": 4},
            "(250) is not a multiple of the number",
        ),
        (
            {"model_type": "llama4", "text_config": {"model_type": "llama4_text", "attn_temperature_tuning": 4}},
            "'attn_temperature_tuning' expected bool, got int",
        ),
    ],
)
def test_a_number_that_does_not_fit_is_told_and_not_the_name_of_the_check(raw: dict[str, Any], says: str) -> None:
    said = refusal(lambda: architecture.parse(raw))
    assert says in said
    assert "alidat" not in said
