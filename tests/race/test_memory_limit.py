"""A race that does not fit into memory is refused before it starts: Linux would end the whole program for it."""

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import RaceRequest
from kvdemo.measure.check import check_measurement
from kvdemo.models.loaded import LoadedModel
from kvdemo.race import memory_limit
from kvdemo.race.check import check_race, fit

#: Tiny Llama: 2 layers keep keys and values of 2 heads, 16 wide, in float32.
FORM = {"prompt": "The quick brown fox", "chat": False, "ignore_eos": True}


def asked(*lanes: str, tokens: int = 100) -> RaceRequest:
    return RaceRequest.parse({**FORM, "strategies": lanes, "max_new_tokens": tokens})


@pytest.fixture
def position(tiny_llama: LoadedModel) -> int:
    assert tiny_llama.layers is not None
    return sum(layer.bytes_per_position(tiny_llama.dtype.itemsize) for layer in tiny_llama.layers)


def free(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(memory_limit, "room_bytes", lambda _: size)


def test_rows_that_do_not_fit_are_refused_with_the_largest_token_count_that_fits(
    tiny_llama: LoadedModel, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = fit(tiny_llama, tiny_llama.prompt(FORM["prompt"], chat=False)).prompt_tokens
    free(monkeypatch, 256 * position * (prompt + 40))
    with pytest.raises(BadInput, match="ask for at most 40 new tokens, or for fewer rows") as refused:
        check_race(asked("batched:rows=256"), tiny_llama)
    assert refused.value.max_new_tokens == 40
    check_race(asked("batched:rows=256", tokens=40), tiny_llama)


def test_the_memory_of_all_lanes_is_added_up(
    tiny_llama: LoadedModel, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 2 * position * 150)
    check_race(asked("dynamic_cache"), tiny_llama)
    check_race(asked("dynamic_cache", "no_cache"), tiny_llama)  # the second keeps nothing
    with pytest.raises(BadInput, match="ask for at most"):
        check_race(asked("dynamic_cache", "static_cache", "quantized_cache", "batched:rows=2"), tiny_llama)


def test_a_sliding_window_counts_only_the_positions_that_it_keeps(
    tiny_llama: LoadedModel, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, position * 60)
    check_race(asked("sliding_window:window=16", tokens=400), tiny_llama)
    with pytest.raises(BadInput, match="ask for at most"):
        check_race(asked("sliding_window:window=300", tokens=400), tiny_llama)


def test_a_prompt_that_does_not_fit_is_refused_with_other_remedies(
    tiny_llama: LoadedModel, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 3 * position)
    with pytest.raises(BadInput, match="shorten the prompt, or choose fewer lanes or rows") as refused:
        check_race(asked("dynamic_cache"), tiny_llama)
    assert refused.value.max_new_tokens is None


def test_nothing_is_refused_when_the_free_memory_is_unknown(
    tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_limit, "room_bytes", lambda _: None)
    check_race(asked("batched:rows=256"), tiny_llama)


def test_a_measurement_counts_the_memory_of_its_largest_lane_alone(
    tiny_llama: LoadedModel, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, position * 150)
    form = {**FORM, "max_new_tokens": 100, "repeats": 1}
    check_measurement(MeasureRequest.parse({**form, "strategies": "dynamic_cache,static_cache"}), tiny_llama)
    with pytest.raises(BadInput, match="Batched .*: ask for at most"):
        check_measurement(MeasureRequest.parse({**form, "strategies": "dynamic_cache,batched:rows=8"}), tiny_llama)
    sweep = {"sweep_prompt": "200", "sweep_tokens": "8"}
    with pytest.raises(BadInput, match="memory"):
        check_measurement(MeasureRequest.parse({**form, **sweep, "strategies": "dynamic_cache"}), tiny_llama)


def test_the_free_memory_of_this_machine_is_known(tiny_llama: LoadedModel) -> None:
    assert (memory_limit.room_bytes(tiny_llama.device) or 1) > 0
