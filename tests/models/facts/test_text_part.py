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
]


@pytest.mark.parametrize("raw", TAKEN, ids=lambda raw: raw["model_type"])
def test_a_model_with_a_causal_text_part_is_accepted(raw: dict[str, Any]) -> None:
    text_part.check(raw, "M")


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
    ({"model_type": "llama", "architectures": ["LlamaForCausalLMEagle3"]}, "is a LlamaForCausalLMEagle3"),
    ({"model_type": "whisper", "is_encoder_decoder": True}, "encoder-decoder"),
]


@pytest.mark.parametrize(("raw", "says"), REFUSED, ids=[says[:30] for _, says in REFUSED])
def test_a_refusal_states_the_real_reason(raw: dict[str, Any], says: str) -> None:
    assert says in refusal(lambda: text_part.check(raw, "M"))
