from typing import Any

import pytest

from kvdemo.models.facts import text_part
from tests.models.saved import refusal

TAKEN = [
    {"model_type": "llama", "architectures": ["LlamaForCausalLM"]},
    {"model_type": "llama"},
    {"model_type": "mpt", "architectures": ["MPTForCausalLM"], "auto_map": {}},  # a class of its own code
    {"model_type": "exaone", "architectures": ["ExaoneForCausalLM"]},
    {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]},
    {"model_type": "qwen3_vl", "architectures": ["Qwen3VLForConditionalGeneration"]},
    {"model_type": "qwen3_vl_text"},
    {"model_type": "llama4", "architectures": ["Llama4ForConditionalGeneration"]},
    {"model_type": "llama4", "architectures": ["Llama4ForCausalLM"]},
    {"model_type": "llava", "text_config": {"model_type": "mistral"}},
    {"model_type": "idefics", "architectures": ["IdeficsForVisionText2Text"]},
    {"model_type": "qwen2_audio", "architectures": ["Qwen2AudioForConditionalGeneration"]},
    {"model_type": "audioflamingo3", "architectures": ["AudioFlamingo3ForConditionalGeneration"]},
    {"model_type": "bloom", "architectures": ["BloomModel"]},  # the embedding is the projection
    {"model_type": "qwen3", "architectures": ["Qwen3Model"], "tie_word_embeddings": True},
    {"model_type": "gemma3", "architectures": ["Gemma3Model"], "text_config": {"model_type": "gemma3_text"}},
    {"model_type": "qwen2_5_omni", "architectures": ["Qwen2_5OmniModel"]},  # no class of this type is without one
]
# Types that transformers lists as encoders, or as models with an encoder, saved as what reads forwards.
ENCODERS = ("bert", "roberta", "roformer", "big_bird", "electra", "camembert", "megatron-bert")
WITH_ENCODERS = ("bart", "mbart", "pegasus", "marian", "blenderbot", "plbart", "prophetnet")
DECODERS = [
    {"model_type": kind, "architectures": [text_part.CAUSAL[kind]], said: said == "is_decoder"}
    for said, kinds in (("is_decoder", ENCODERS), ("is_encoder_decoder", WITH_ENCODERS))
    for kind in kinds
]


@pytest.mark.parametrize("raw", TAKEN, ids=lambda raw: raw["model_type"])
def test_a_model_with_a_causal_text_part_is_accepted(raw: dict[str, Any]) -> None:
    text_part.check(raw, "M")


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("raw", DECODERS, ids=lambda raw: raw["model_type"])
def test_an_encoder_that_was_made_a_decoder_is_accepted(raw: dict[str, Any], saved: bool) -> None:
    text_part.check(raw, "M", saved=saved)


def test_an_encoder_saved_as_a_language_model_is_accepted_when_its_weights_are_there() -> None:
    raw = {"model_type": "bert", "architectures": ["BertLMHeadModel"]}
    text_part.check(raw, "M", saved=True)
    assert "reads a whole text at once" in refusal(lambda: text_part.check(raw, "M"))


REFUSED = [
    ({"model_type": "qwen", "auto_map": {"AutoModel": "a.B"}}, "needs program code of its own"),
    ({"model_type": "quen"}, "does not know"),
    ({"model_type": ["llama"]}, "does not know"),
    ({}, "None, which transformers"),
    ({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, "reads a whole text at once"),
    ({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, "saved as a BertForMaskedLM, which reads a whole"),
    ({"model_type": "llava", "text_config": {"model_type": "bert"}}, "is of the type bert"),
    ({"model_type": "clip"}, "no class that writes text with the type clip"),
    ({"model_type": "siglip_vision_model"}, "reads pictures alone"),
    ({"model_type": "vit", "architectures": ["ViTForImageClassification"]}, "reads pictures alone"),
    ({"model_type": "wav2vec2", "architectures": ["Wav2Vec2ForCTC"]}, "reads sound alone"),
    ({"model_type": "llama", "architectures": ["LlamaForSequenceClassification"]}, "is a LlamaForSequenceClassif"),
    ({"model_type": "qwen3", "architectures": ["Qwen3Model"]}, "is a Qwen3Model: choose a causal"),
    ({"model_type": "qwen3", "architectures": ["Qwen3Model"]}, "random numbers would choose the tokens"),
    ({"model_type": "bloom", "architectures": ["BloomModel"], "tie_word_embeddings": False}, "random numbers would"),
    (
        {"model_type": "mistral3", "architectures": ["Mistral3Model"], "text_config": {"model_type": "mistral"}},
        "random",
    ),
    ({"model_type": "bart", "architectures": ["BartForCausalLM"]}, "reads a whole text at once"),
    (
        {"model_type": "gemma3_text", "architectures": ["Gemma3TextModel"], "use_bidirectional_attention": True},
        "saved as a Gemma3TextModel, which reads a whole text at once",
    ),
    (
        {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "is_causal": False},
        "saved as a LlamaForCausalLM, which reads a whole text at once",
    ),
    ({"model_type": "llama", "architectures": ["LlamaForCausalLMEagle3"]}, "is a LlamaForCausalLMEagle3"),
    ({"model_type": "whisper", "is_encoder_decoder": True}, "encoder-decoder"),
]


@pytest.mark.parametrize(("raw", "says"), REFUSED, ids=[says[:30] for _, says in REFUSED])
def test_a_refusal_states_the_real_reason(raw: dict[str, Any], says: str) -> None:
    assert says in refusal(lambda: text_part.check(raw, "M"))


def test_what_looks_both_ways_is_refused_beside_its_weights_too() -> None:
    raw = {"model_type": "gemma3_text", "architectures": ["Gemma3TextModel"], "use_bidirectional_attention": True}
    assert "reads a whole text at once" in refusal(lambda: text_part.check(raw, "M", saved=True))
