"""The settings of a model's files that generate() applies unasked: each that changes its text is named."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from kvdemo.models.loaded import LoadedModel
from kvdemo.race.done_by_generate import not_applied, positions_from_0
from tests.tiny_models import loaded

PROMPT = [5, 6, 7, 8]
#: A setting that changes what generate() writes, and one of the same kind that does not.
CHANGES: dict[str, Any] = {
    "repetition_penalty": 5.0,
    "encoder_repetition_penalty": 100.0,
    "no_repeat_ngram_size": 1,
    "encoder_no_repeat_ngram_size": 1,
    "sequence_bias": [[[9], 100.0]],
    "suppress_tokens": list(range(150)),
    "begin_suppress_tokens": list(range(150)),
    "bad_words_ids": [[number] for number in range(150)],
    "forced_eos_token_id": 9,
    "forced_bos_token_id": 9,
    "exponential_decay_length_penalty": [0, 1e6],
    "num_beams": 4,
    "watermarking_config": {"bias": 50.0},
    "max_time": 1e-9,
    "stop_strings": ["e"],
}
CHANGES_NOTHING: dict[str, Any] = {
    "repetition_penalty": 1.0, "num_beams": 1, "temperature": 0.7, "top_p": 0.9, "top_k": 20, "min_p": 0.1,
    "typical_p": 0.5, "max_length": 20, "use_cache": False, "renormalize_logits": True, "remove_invalid_values": True,
    "prompt_lookup_num_tokens": 2, "no_repeat_ngram_size": 0, "pad_token_id": 3, "min_length": 0,
}  # fmt: skip


def with_settings(model: LoadedModel, **settings: Any) -> LoadedModel:
    network = copy.deepcopy(model.network)
    network.generation_config = type(network.generation_config)(**settings)
    return loaded("set", network, model.tokenizer)


def written(model: LoadedModel) -> list[int]:
    """What generate() writes by itself for a prompt whose first token it may have to begin with."""
    with torch.inference_mode():
        text = model.network.generate(
            torch.tensor([PROMPT]), do_sample=False, max_new_tokens=60, tokenizer=model.tokenizer
        )
    return list(text[0, len(PROMPT) :].tolist())


@pytest.mark.parametrize("name", CHANGES)
def test_a_setting_that_changes_what_generate_writes_is_named(tiny_llama: LoadedModel, name: str) -> None:
    model = with_settings(tiny_llama, eos_token_id=2, **{name: CHANGES[name]})
    if name != "forced_bos_token_id":  # which acts on a prompt of one token
        assert written(model) != written(with_settings(tiny_llama, eos_token_id=2))
    (said,) = not_applied(model)
    assert f" {name} of " in said


@pytest.mark.parametrize("name", CHANGES_NOTHING)
def test_a_setting_that_changes_nothing_is_not_named(tiny_llama: LoadedModel, name: str) -> None:
    model = with_settings(tiny_llama, eos_token_id=2, **{name: CHANGES_NOTHING[name]})
    assert written(model) == written(with_settings(tiny_llama, eos_token_id=2))
    assert not_applied(model) == []


@pytest.mark.parametrize("name", ["min_length", "min_new_tokens"])
def test_a_length_that_keeps_a_text_from_ending_is_named(tiny_llama: LoadedModel, name: str) -> None:
    assert f" {name} of " in not_applied(with_settings(tiny_llama, eos_token_id=2, **{name: 30}))[0]


def test_a_setting_that_generate_refuses_is_named(tiny_llama: LoadedModel) -> None:
    assert "bad_words_ids" in not_applied(with_settings(tiny_llama, bad_words_ids=[]))[0]


def test_several_settings_are_named_in_one_sentence(tiny_llama: LoadedModel) -> None:
    (said,) = not_applied(with_settings(tiny_llama, repetition_penalty=1.2, num_beams=3))
    assert "repetition_penalty" in said
    assert "num_beams" in said


def test_a_model_without_such_a_file_has_none(tiny_llama: LoadedModel) -> None:
    network = copy.deepcopy(tiny_llama.network)
    network.generation_config = None
    assert not_applied(loaded("none", network, tiny_llama.tokenizer)) == []


@pytest.mark.parametrize("family", ["roberta", "camembert", "xlm-roberta", "data2vec-text", "roberta-prelayernorm"])
def test_a_family_whose_positions_begin_behind_padding_is_told_apart_from_generate(
    tiny_llama: LoadedModel, family: str
) -> None:
    network = network_of(family)
    model = loaded("behind", network, tiny_llama.tokenizer)
    with torch.inference_mode():
        own = network(torch.tensor([PROMPT])).logits
        by_generate = network(torch.tensor([PROMPT]), position_ids=torch.arange(len(PROMPT))[None]).logits
        from_2 = network(torch.tensor([PROMPT]), position_ids=2 + torch.arange(len(PROMPT))[None]).logits
    torch.testing.assert_close(own, from_2)
    assert not torch.allclose(own, by_generate, atol=1e-3)
    (said,) = positions_from_0(model)
    assert "begins at 2," in said


@pytest.mark.parametrize("family", ["bert", "roformer", "electra", "opt", "gpt2"])
def test_a_family_that_numbers_positions_as_generate_does_has_no_such_remark(
    tiny_llama: LoadedModel, family: str
) -> None:
    assert positions_from_0(loaded("alike", network_of(family), tiny_llama.tokenizer)) == []


def network_of(family: str) -> PreTrainedModel:
    """A tiny random model with is_decoder, where the family asks for it."""
    config = AutoConfig.for_model(
        family, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=395,
        max_position_embeddings=64, is_decoder=True, pad_token_id=1, embedding_size=16,
    )  # fmt: skip
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config).eval()
