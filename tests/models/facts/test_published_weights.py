"""What a plan says of weights that were published quantised."""

from typing import Any

import pytest

from kvdemo.costs.planner import plan
from kvdemo.models.facts import architecture

LLAMA = {"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32}
LLAMA |= {"num_hidden_layers": 32, "num_key_value_heads": 8, "vocab_size": 128_256}
QWEN = {"model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "num_attention_heads": 28}
QWEN |= {"num_hidden_layers": 28, "num_key_value_heads": 4, "vocab_size": 152_064, "tie_word_embeddings": False}
GPT_OSS = {"model_type": "gpt_oss", "hidden_size": 2880, "intermediate_size": 2880, "num_attention_heads": 64}
GPT_OSS |= {"head_dim": 64, "num_hidden_layers": 36, "num_key_value_heads": 8, "vocab_size": 201_088}
GPT_OSS |= {"num_local_experts": 128, "num_experts_per_tok": 4}
BNB = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_use_double_quant": True}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128}
MXFP4 = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router"]}
FP8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}
GROUPS = {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 4}}}}
SMALL = {"model_type": "llama", "hidden_size": 256, "intermediate_size": 512, "num_attention_heads": 4}
SMALL |= {"num_hidden_layers": 2, "num_key_value_heads": 2, "vocab_size": 1000}
# The matrices of SMALL's two layers: queries, keys, values, output, and three of the feed-forward part.
ATTENTION = 2 * (256 * 256 * 2 + 256 * 128 * 2)
FORWARD = 2 * 3 * 256 * 512


@pytest.mark.parametrize(
    ("raw", "said", "gigabytes"),
    [(LLAMA, BNB, 5.70), (LLAMA, GPTQ, 5.73), (QWEN, AWQ, 5.57), (GPT_OSS, MXFP4, 65.2)],
    ids=["llama-3-8b bitsandbytes", "llama-3-8b GPTQ", "qwen2-7b AWQ", "gpt-oss-120b"],
)
def test_the_estimate_is_the_size_of_the_published_files(
    raw: dict[str, Any], said: dict[str, Any], gigabytes: float
) -> None:
    found = architecture.parse(raw | {"quantization_config": said}).published
    assert found is not None
    assert found.bits == 4
    assert found.bytes == pytest.approx(gigabytes * 1e9, rel=2e-3)


@pytest.mark.parametrize(
    ("said", "converted", "each"),
    [
        (FP8, ATTENTION + FORWARD, 1 + 4 / 128**2),
        (FP8 | {"modules_to_not_convert": ["mlp"]}, ATTENTION, 1 + 4 / 128**2),
        (FP8 | {"modules_to_not_convert": ["model.layers.0", "lm_head"]}, (ATTENTION + FORWARD) // 2, 1 + 4 / 128**2),
        (FP8 | {"modules_to_not_convert": ["model.layers.*.self_attn"]}, FORWARD, 1 + 4 / 128**2),
        (FP8 | {"modules_to_not_convert": 7, "ignored_layers": [7]}, ATTENTION + FORWARD, 1 + 4 / 128**2),
        (AWQ | {"modules_to_not_convert": None}, ATTENTION + FORWARD, 0.5 + 2.5 / 128),
        (AWQ | {"bits": 8, "group_size": 64}, ATTENTION + FORWARD, 1 + 3 / 64),
        (BNB | {"bnb_4bit_use_double_quant": False}, ATTENTION + FORWARD, 0.5 + 4 / 64),
    ],
)
def test_the_named_modules_stay_in_16_bits(said: dict[str, Any], converted: int, each: float) -> None:
    made = architecture.parse(SMALL | {"quantization_config": said})
    assert made.published is not None
    assert made.published.bytes == round(2 * (made.parameters - converted) + each * converted)


@pytest.mark.parametrize(
    ("said", "named"),
    [
        (GROUPS, "compressed-tensors, 4 bits"),
        ({"quant_method": "bitnet"}, "bitnet"),
        ({"quant_method": "fp8"}, "FP8, 8 bits"),
        (GPTQ | {"group_size": -1}, "GPTQ, 4 bits"),
        (GPTQ | {"dynamic": {"-:.*gate": {}}}, "GPTQ, 4 bits"),
        ({"quant_method": "awq", "bits": "four", "group_size": [1]}, "AWQ"),
    ],
)
def test_no_bytes_are_named_where_the_configuration_tells_too_little(said: dict[str, Any], named: str) -> None:
    made = plan(
        architecture.parse(SMALL | {"quantization_config": said}), memory_bytes=10**9, bandwidth_bytes_per_s=1e9
    )
    sentence = next(text for text in made["sentences"] if "quantised" in text)
    assert f"The published weights are quantised ({named}); the figures here are for" in sentence
    assert sentence.endswith("in bfloat16. How many bytes they have as published is not known.")


def test_a_plan_says_what_its_figures_are_for_and_that_the_size_is_an_estimate() -> None:
    arch = architecture.parse(GPT_OSS | {"quantization_config": MXFP4})
    said = plan(arch, memory_bytes=80 * 10**9, bandwidth_bytes_per_s=1e12, dtype="float16")["sentences"]
    assert (
        "The published weights are quantised (MXFP4, 4 bits); the figures here are for the same weights in float16. As "
        "published they have about 65.2 GB: an estimate from the configuration."
    ) in said


@pytest.mark.parametrize("said", [None, {}, "awq", [1]])
def test_nothing_is_said_of_weights_that_are_not_quantised(said: object) -> None:
    assert architecture.parse(SMALL | {"quantization_config": said}).published is None


def test_what_the_text_part_says_is_read() -> None:
    raw = {"model_type": "llava", "text_config": SMALL | {"quantization_config": FP8}}
    found = architecture.parse(raw).published
    assert found is not None
    assert (found.method, found.bits) == ("FP8", 8)
