from itertools import islice

import pytest

from kvdemo.core.types import Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.kv_cache.dynamic_cache import DynamicCached
from kvdemo.strategies.kv_cache.static_cache import StaticCached
from tests.strategies.conftest import steps_of
from tests.strategies.layered import model_of

NEW = 20


@pytest.mark.parametrize("fixture", ["tiny_llama", "tiny_gpt2"])
def test_all_room_is_reserved_at_once_and_filled_as_a_dynamic_cache_grows(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    model: LoadedModel = request.getfixturevalue(fixture)
    prompt = len(model.tokenizer.encode("The quick brown fox"))
    steps = list(islice(steps_of(StaticCached(), model, "The quick brown fox", tokens=NEW), NEW))
    growing = list(islice(steps_of(DynamicCached(), model, "The quick brown fox"), NEW))
    a_position = growing[0].cache_bytes // prompt
    assert {step.cache_bytes for step in steps} == {a_position * (prompt + NEW)}
    assert {step.details["bytes_reserved"] for step in steps} == {a_position * (prompt + NEW)}
    assert [step.details["bytes_used"] for step in steps] == [step.cache_bytes for step in growing]
    assert [step.positions for step in steps] == [prompt] + [1] * (NEW - 1)


def test_a_sliding_layer_reserves_its_window_and_fills_it() -> None:
    steps = list(islice(steps_of(StaticCached(), model_of("mistral"), "w3 w4 w5", tokens=NEW), NEW))
    a_position = 2 * 2 * 2 * 8 * 4  # keys and values · layers · kv_heads · head_dim · float32
    assert steps[0].cache_bytes == 8 * a_position
    assert [step.details["bytes_used"] for step in steps] == [min(3 + n, 8) * a_position for n in range(NEW)]


@pytest.mark.parametrize("name", ["lfm2", "qwen3_next", "deepseek_v3", "deepseek_v32, an indexer's keys"])
def test_states_are_in_use_from_the_start_and_all_that_grows_as_it_is_filled(name: str) -> None:
    model = model_of(name)
    steps = list(islice(steps_of(StaticCached(), model, "w3 w4 w5", tokens=NEW), NEW))
    growing = list(islice(steps_of(DynamicCached(), model, "w3 w4 w5"), NEW))
    assert [step.details["bytes_used"] for step in steps] == [step.cache_bytes for step in growing]


def test_no_more_than_the_context_is_reserved(tiny_gpt2: LoadedModel) -> None:
    step = next(steps_of(StaticCached(), tiny_gpt2, "fox", tokens=10**9))
    assert step.cache_bytes == 2 * 2 * 32 * 4 * 512  # gpt2: keys and values · layers · width · float32 · positions


def test_the_remark_states_the_reserved_room_that_was_not_used(tiny_llama: LoadedModel) -> None:
    steps = [TimedStep(step, 1.0) for step in islice(steps_of(StaticCached(), tiny_llama, "fox", tokens=100), 3)]
    (remark,) = StaticCached().remarks(steps)
    share = steps[-1].step.details["bytes_used"] / steps[-1].step.details["bytes_reserved"]
    assert remark.startswith("StaticCache reserved ")
    assert remark.endswith(f": {share:.0%}.") and share < 0.1


def test_the_remark_tells_the_reserved_room_from_what_grew_beside_it() -> None:
    sizes = [{"bytes_reserved": 1000 + grown, "bytes_used": 100 + grown} for grown in (0, 24)]
    steps = [TimedStep(Step((), positions=1, cache_bytes=n["bytes_reserved"], details=n), 1.0) for n in sizes]
    assert StaticCached().remarks(steps) == [
        "StaticCache reserved 1 kB before its first token and used 100 B of it: 10%. Beside it, tensors that have no "
        "reserved room grew by 24 B."
    ]
