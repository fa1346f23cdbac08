from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import (
    CONFIG_MAPPING,
    AutoModelForCausalLM,
    Ernie4_5_VLMoeConfig,
    Ernie4_5_VLMoeForConditionalGeneration,
    JetMoeConfig,
    JetMoeForCausalLM,
    MllamaConfig,
    MllamaForConditionalGeneration,
    PreTrainedModel,
)

from kvdemo.core.errors import BadInput
from kvdemo.costs.architecture import Architecture
from kvdemo.models.facts import architecture, meta_run, step_weights
from kvdemo.models.facts.meta_run import TextPass
from tests.models.saved import small_tokenizer
from tests.models.tiny_configs import GROUPED, LONGCAT, NO_SPECIAL, TINY, ZAYA, tiny
from tests.models.wrappers import flat, wrapper
from tests.tiny_models import loaded


def numbers(*parts: nn.Module) -> int:
    return sum(weight.numel() for part in parts for weight in part.parameters())


def counted(network: PreTrainedModel, *idle: str) -> int:
    seen = TextPass(frozenset(idle), frozenset())
    return step_weights.add_up(network, seen, torch.Tensor.numel, "it")


def ernie() -> Ernie4_5_VLMoeForConditionalGeneration:
    """One layer without experts, and one with experts for text and others for pictures."""
    text = GROUPED | {"num_hidden_layers": 2, "moe_intermediate_size": [24, 8], "moe_num_experts": 4, "moe_k": 2}
    text |= {"rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [1, 1, 2]}}
    text |= {"mlp_layer_types": ["dense", "sparse"], "moe_num_shared_experts": 1, "tie_word_embeddings": False}
    with torch.device("meta"):
        return Ernie4_5_VLMoeForConditionalGeneration(Ernie4_5_VLMoeConfig(text_config=text))


def test_experts_for_pictures_are_not_read_for_text() -> None:
    network = ernie()
    decoder, head = network.get_decoder(), network.get_output_embeddings()
    mixture = decoder.layers[1].mlp
    assert numbers(mixture.vision_moe) > 0
    idle = numbers(decoder.embed_tokens, mixture.vision_moe) + numbers(mixture.text_moe.experts) // 2
    assert architecture.from_config(network.config).active_parameters == numbers(decoder, head) - idle


def test_layers_that_attend_to_pictures_are_not_read_for_text() -> None:
    text = GROUPED | {"num_hidden_layers": 3, "cross_attention_layers": [1], "tie_word_embeddings": False}
    text["pad_token_id"] = 0
    with torch.device("meta"):
        network = MllamaForConditionalGeneration(MllamaConfig(text_config=text))
    decoder, head = network.get_decoder(), network.get_output_embeddings()
    read = architecture.from_config(network.config).active_parameters
    assert read == numbers(decoder, head) - numbers(decoder.embed_tokens, decoder.layers[1])


def test_experts_that_only_their_class_names_are_counted_as_experts() -> None:
    shape = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_key_value_heads": 2, "kv_channels": 8}
    shape |= {"intermediate_size": 48, "num_local_experts": 4, "num_experts_per_tok": 2}
    with torch.device("meta"):
        network = JetMoeForCausalLM(JetMoeConfig(**shape, tie_word_embeddings=True))
    experts = [layer.mlp.input_linear.weight.numel() + layer.mlp.output_linear.weight.numel() for layer in
               network.model.layers]  # fmt: skip
    with_all = numbers(network) - sum(numbers(layer.self_attention.experts) // 2 for layer in network.model.layers)
    assert counted(network) == with_all - sum(experts) // 2
    # Planned, too, though it splits its rows by sizes that it reads out of a tensor.
    assert architecture.from_config(network.config).active_parameters == counted(network)


def planned(kind: str, fields: dict[str, Any]) -> Architecture:
    return architecture.from_config(CONFIG_MAPPING[kind](**fields, **NO_SPECIAL))


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.integers(0, 12))
def test_an_expert_that_an_identity_may_stand_for_is_not_among_the_least(chosen: int, identities: int) -> None:
    """Two layers of 4 experts: of each, three matrices of 16 by 32."""
    found = planned("longcat_flash", LONGCAT | {"num_experts_per_tok": chosen, "zero_expert_num": identities})
    expert = 2 * 3 * 16 * 32
    assert found.spare_parameters == min(chosen, identities) * expert
    without = planned("longcat_flash", LONGCAT | {"num_experts_per_tok": chosen, "zero_expert_num": 0})
    routers = 2 * identities * 32
    assert without.spare_parameters == 0
    assert found.active_parameters == without.active_parameters + routers - found.spare_parameters


def test_an_expert_that_may_be_skipped_is_not_among_the_least() -> None:
    assert planned("zaya", ZAYA).spare_parameters == 2 * 3 * 16 * 32


@pytest.mark.parametrize("name", TINY)
def test_a_router_of_experts_alone_leaves_none_out(name: str) -> None:
    assert architecture.from_config(tiny(name)).spare_parameters == 0


def test_rows_of_a_router_for_shared_experts_are_no_choices() -> None:
    """Inkling's router weighs the shared experts too, with rows of its own, and always sends to them."""
    fields = GROUPED | {"head_dim": 8, "moe_intermediate_size": 16, "n_routed_experts": 4, "num_experts_per_tok": 2}
    assert planned("inkling_text", fields).spare_parameters == 0


def test_a_loaded_mixture_reads_what_is_planned_of_it() -> None:
    config = CONFIG_MAPPING["longcat_flash"](**LONGCAT, zero_expert_num=3, **NO_SPECIAL)
    model = loaded("longcat_flash", AutoModelForCausalLM.from_config(config).eval(), small_tokenizer())
    assert model.read_bytes == 4 * architecture.from_config(config).active_parameters


@pytest.mark.parametrize("kind", ["bert", "electra", "roberta"])
def test_a_loaded_model_reads_what_is_between_its_last_layer_and_the_projection(kind: str) -> None:
    config = CONFIG_MAPPING[kind](**GROUPED, **NO_SPECIAL, is_decoder=True)
    network = AutoModelForCausalLM.from_config(config).eval()
    model = loaded(kind, network, small_tokenizer())
    tables = [part for part in network.modules() if isinstance(part, torch.nn.Embedding)]
    head = network.get_output_embeddings().weight
    unread = {part.weight for part in tables if part.weight is not head}
    assert model.read_bytes == 4 * sum(weight.numel() for weight in {*network.parameters()} - unread)
    assert model.read_bytes == 4 * architecture.from_config(config).active_parameters


@pytest.mark.parametrize("name", TINY)
def test_text_passes_by_no_part_of_a_model_for_text(name: str) -> None:
    assert not meta_run.run_trial(tiny(name), name).idle


def test_a_part_that_a_network_lacks_is_passed_over() -> None:
    network = AutoModelForCausalLM.from_config(tiny("llama"))
    assert counted(network, "layers.7.cross", "gone") == counted(network)


def test_a_mixture_that_does_not_say_how_many_experts_is_refused() -> None:
    network = AutoModelForCausalLM.from_config(tiny("mixtral"))
    network.config.num_experts_per_tok = 0
    with pytest.raises(BadInput, match=r"^it is not supported: its configuration does not say how many experts"):
        counted(network)


@pytest.mark.parametrize("kind", ["gemma3", "qwen3_5_moe"])
def test_a_loaded_model_reads_the_bytes_of_its_text_part(kind: str) -> None:
    model = loaded(kind, wrapper(kind), small_tokenizer())
    assert model.read_bytes == 4 * architecture.from_config(model.network.config).active_parameters < model.weight_bytes


def test_a_loaded_model_of_a_flat_configuration_reads_nothing_for_pictures_and_holds_it() -> None:
    model = loaded("git", flat(), small_tokenizer())
    network = model.network
    planned = architecture.from_config(network.config)
    assert model.read_bytes == 4 * planned.active_parameters
    assert model.weight_bytes == 4 * numbers(network)
    for_pictures = numbers(network.git.image_encoder, network.git.visual_projection)
    assert planned.parameters == numbers(network) - for_pictures


def test_bytes_are_those_of_each_weights_own_number_format() -> None:
    network = AutoModelForCausalLM.from_config(tiny("llama"))
    whole = step_weights.read_bytes(network, "it")
    for layer in network.model.layers:
        layer.mlp.to(torch.float8_e4m3fn)
    assert step_weights.read_bytes(network, "it") == whole - 3 * numbers(*(layer.mlp for layer in network.model.layers))


@pytest.mark.parametrize("kind", ["gemma3", "qwen2_5_vl"])
def test_linear_layers_are_those_of_the_text_part(kind: str) -> None:
    """A decoding step runs no layer of the part that reads pictures, and compiled code packs none."""
    network = wrapper(kind)
    found = step_weights.linear_layers(network, kind)
    a_layer = 7  # four of attention, three of the feed-forward network
    assert len(found) == 2 * a_layer + 1
    assert {id(weight) for layer in found for weight in layer.parameters()} <= {
        id(weight) for part in step_weights.text_parts(network) for weight in part.parameters()
    }
