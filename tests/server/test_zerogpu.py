import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.measure_settings import MeasureRequest
from kvdemo.core.settings import RaceRequest
from kvdemo.server import zerogpu


def race(*strategies: str, tokens: int = 100) -> RaceRequest:
    return RaceRequest("Hi", strategies=strategies, max_new_tokens=tokens)


def test_a_lane_asks_for_each_of_its_passes() -> None:
    assert zerogpu.seconds(race("dynamic_cache")) == 10 + 4
    assert zerogpu.seconds(race("no_cache", "beam_search:beams=8")) == 10 + 8
    # A draft model may run four passes for each pass of the model, and no guess need be right.
    assert zerogpu.seconds(race("speculative")) == 10 + 5 * 4
    assert zerogpu.seconds(race("speculative:draft_tokens=9", "dynamic_cache")) == 10 + 11 * 4


def test_a_measurement_asks_for_all_its_runs() -> None:
    request = MeasureRequest.parse({"prompt": "Hi", "max_new_tokens": 100, "repeats": 2, "warmup": 1})
    assert zerogpu.seconds(request) == 10 + 2 * 3 * 4
    long = MeasureRequest.parse({"prompt": "Hi", "max_new_tokens": 1000, "repeats": 3})
    with pytest.raises(BadInput, match="ask for fewer tokens, repeats or lengths"):
        zerogpu.check(long)


@pytest.mark.parametrize("lanes", [("dynamic_cache",), ("no_cache", "dynamic_cache"), ("speculative", "batched")])
def test_what_a_refusal_proposes_fits(lanes: tuple[str, ...]) -> None:
    with pytest.raises(BadInput) as refused:
        zerogpu.check(race(*lanes, tokens=100_000))
    fits = refused.value.max_new_tokens
    assert fits is not None
    zerogpu.check(race(*lanes, tokens=fits))
    assert zerogpu.seconds(race(*lanes, tokens=fits + 30)) > zerogpu.QUOTA_SECONDS
