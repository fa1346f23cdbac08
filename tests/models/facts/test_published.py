import json

import pytest

from kvdemo.costs.formulas import kv_bytes
from kvdemo.costs.planner import plan
from kvdemo.models.facts import architecture
from tests.models.published import PUBLISHED

pytestmark = pytest.mark.slow


def planned(name: str) -> dict:
    fields, _, _ = PUBLISHED[name]
    return plan(architecture.parse(json.dumps(fields)), memory_bytes=10**12, bandwidth_bytes_per_s=1e12)


@pytest.mark.parametrize("name", PUBLISHED)
def test_bytes_per_position_of_published_models_are_right(name: str) -> None:
    _, within, past = PUBLISHED[name]
    cache = planned(name)["cache"]
    assert (cache["bytes_per_token"], cache["bytes_per_token_past_windows"]) == (within, past)


@pytest.mark.parametrize(
    ("name", "positions"),
    [
        ("openai/gpt-oss-20b", 131_072),
        ("meta-llama/Llama-3.1-405B", 131_072),
        ("deepseek-ai/DeepSeek-V3", 163_840),
        ("zai-org/GLM-5", 202_752),
        ("XiaomiMiMo/MiMo-V2-Flash", 262_144),
        ("google/gemma-4-E2B-it", 131_072),
        ("google/gemma-4-31B-it", 262_144),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", 10_485_760),
        ("Qwen/Qwen3-VL-8B-Instruct", 262_144),
        ("Qwen/Qwen2.5-VL-7B-Instruct", 128_000),
        ("Qwen/Qwen3.5-35B-A3B", 262_144),
        ("mosaicml/mpt-7b", 2048),
    ],
)
def test_context_lengths_of_published_models_are_right(name: str, positions: int) -> None:
    assert planned(name)["model"]["context_length"] == positions


def test_cache_bytes_of_gpt_oss_20b_at_32768_positions_are_right() -> None:
    cache = planned("openai/gpt-oss-20b")["cache"]
    # 8 · (64 + 64) · 2 B = 2,048 B a layer and position. 12 full layers · 2,048 · 32,768 = 805,306,368, and 12 sliding
    # ones · 2,048 · 127 = 3,121,152: of a window of 128, transformers keeps the 127 before the newest position.
    assert {row["positions"]: row["bytes"] for row in cache["at"]}[32_768] == 808_427_520


def test_heads_that_differ_from_layer_to_layer_are_listed() -> None:
    model = planned("google/gemma-4-31B-it")["model"]
    assert (model["kv_heads"], model["head_dim"], model["heads"]) == ([4, 16], [256, 512], 32)
    assert model["layer_kinds"] == {"sliding": 50, "full": 10}
    shared = planned("google/gemma-4-E2B-it")["model"]
    assert shared["layer_kinds"] == {"sliding": 12, "full": 3, "state": 20}


@pytest.mark.parametrize(
    ("name", "billions", "active"),  # of the text part alone: the model cards count what reads pictures too
    [
        ("Qwen/Qwen3-VL-8B-Instruct", 8.19, 7.57),
        ("google/gemma-4-31B-it", 30.7, 30.7),
        ("google/gemma-4-26B-A4B-it", 25.2, 3.8),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", 107.8, 16.1),
        ("openai/gpt-oss-20b", 20.9, 3.6),
        ("meta-llama/Llama-3.2-11B-Vision", 8.03, 7.5),  # as Llama 3.1 8B: its layers for pictures, 1.75, come on top
        ("google/gemma-4-E2B-it", 4.65, 2.3),  # 2.3 "effective", and 35 · 256 · 262,144 that are looked up
        ("zai-org/GLM-5", 743.9, 40),  # 1,487,822,475,264 B in github.com/NVIDIA-NeMo/Megatron-Bridge, its glm5 card
    ],
)
def test_parameter_counts_of_published_models_are_right(name: str, billions: float, active: float) -> None:
    model = planned(name)["model"]
    assert model["parameters"] / 1e9 == pytest.approx(billions, rel=0.01)
    assert model["active_parameters"] / 1e9 == pytest.approx(active, rel=0.05)


def test_states_of_linear_attention_are_counted_once() -> None:
    arch = architecture.parse(json.dumps(PUBLISHED["Qwen/Qwen3.5-35B-A3B"][0]))
    grown = kv_bytes(arch, 2000, 2) - kv_bytes(arch, 1000, 2)
    assert grown == 1000 * 20_480
    # 30 layers of 32 heads, 128 by 128 numbers each, and 4 positions of a convolution over (2·16 + 32)·128 channels
    assert kv_bytes(arch, 1, 2) - 20_480 in {30 * (32 * 128 * 128 * itemsize + 4 * 8192 * 2) for itemsize in (2, 4)}


def test_a_plan_says_that_it_counts_the_text_part_alone() -> None:
    said = "counted is the part that continues text"
    assert any(said in note for note in planned("Qwen/Qwen3-VL-8B-Instruct")["notes"])
    assert not any(said in note for note in planned("openai/gpt-oss-20b")["notes"])
