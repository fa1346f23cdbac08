import json

import pytest

from kvdemo.costs import kv_bytes
from kvdemo.models import architecture
from kvdemo.planner import plan

from .published import PUBLISHED


def planned(name: str, **settings: object) -> dict:
    fields, _, _ = PUBLISHED[name]
    return plan(architecture.parse(json.dumps(fields)), memory_bytes=10**12, bandwidth_bytes_per_s=1e12, **settings)


@pytest.mark.parametrize("name", PUBLISHED)
def test_bytes_a_position_of_published_models(name: str) -> None:
    _, within, past = PUBLISHED[name]
    cache = planned(name)["cache"]
    assert (cache["bytes_per_token"], cache["bytes_per_token_past_windows"]) == (within, past)


def test_gpt_oss_20b_at_32768_positions() -> None:
    cache = planned("openai/gpt-oss-20b")["cache"]
    assert {row["positions"]: row["bytes"] for row in cache["at"]}[32_768] == 808_427_520


def test_heads_that_differ_from_layer_to_layer_are_listed() -> None:
    model = planned("google/gemma-4-31B-it")["model"]
    assert (model["kv_heads"], model["head_dim"], model["heads"]) == ([4, 16], [256, 512], 32)
    assert model["layer_kinds"] == {"sliding": 50, "full": 10}
    shared = planned("google/gemma-4-E2B-it")["model"]
    assert shared["layer_kinds"] == {"sliding": 12, "full": 3, "state": 20}
    assert planned("meta-llama/Llama-4-Scout-17B-16E-Instruct")["model"]["context_length"] == 10_485_760
    assert planned("mosaicml/mpt-7b")["model"]["context_length"] == 2048


@pytest.mark.parametrize(
    ("name", "billions", "active"),  # of the text part alone: the model cards count what reads pictures too
    [
        ("Qwen/Qwen3-VL-8B-Instruct", 8.19, 7.57),
        ("google/gemma-4-31B-it", 30.7, 30.7),
        ("google/gemma-4-26B-A4B-it", 25.2, 3.8),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", 107.8, 16.1),
        ("openai/gpt-oss-20b", 20.9, 3.6),
    ],
)
def test_parameters_of_published_models(name: str, billions: float, active: float) -> None:
    model = planned(name)["model"]
    assert model["parameters"] / 1e9 == pytest.approx(billions, rel=0.01)
    assert model["active_parameters"] / 1e9 == pytest.approx(active, rel=0.05)


def test_states_of_linear_attention_are_kept_once() -> None:
    arch = architecture.parse(json.dumps(PUBLISHED["Qwen/Qwen3.5-35B-A3B"][0]))
    grown = kv_bytes(arch, 2000, 2) - kv_bytes(arch, 1000, 2)
    assert grown == 1000 * 20_480
    # 30 layers of 32 heads, 128 by 128 numbers each, and 4 positions of a convolution over (2·16 + 32)·128 channels
    assert kv_bytes(arch, 1, 2) - 20_480 in {30 * (32 * 128 * 128 * itemsize + 4 * 8192 * 2) for itemsize in (2, 4)}


def test_a_plan_says_that_it_counts_the_text_part_alone() -> None:
    said = "counted is the part that continues text"
    assert any(said in note for note in planned("Qwen/Qwen3-VL-8B-Instruct")["notes"])
    assert not any(said in note for note in planned("openai/gpt-oss-20b")["notes"])
