import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

from kvdemo import app
from kvdemo.core.errors import BadInput
from kvdemo.core.events import Finished
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import RaceRequest
from kvdemo.server import zerogpu
from kvdemo.server.limits import Limits
from kvdemo.server.runs import BatchesOf
from kvdemo.server.service import Service


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
def test_the_token_count_that_a_refusal_proposes_fits(lanes: tuple[str, ...]) -> None:
    with pytest.raises(BadInput) as refused:
        zerogpu.check(race(*lanes, tokens=100_000))
    fits = refused.value.max_new_tokens
    assert fits is not None
    zerogpu.check(race(*lanes, tokens=fits))
    assert zerogpu.seconds(race(*lanes, tokens=fits + 30)) > zerogpu.QUOTA_SECONDS


def test_what_earlier_steps_predict_is_asked_for_with_room_to_spare() -> None:
    assert zerogpu.seconds(race("dynamic_cache"), lambda _: 1.2) == 10 + 3
    assert zerogpu.seconds(race("no_cache", tokens=2000), lambda _: 40.0) == 10 + 80


def test_a_refusal_proposes_what_fits_by_prediction() -> None:
    """A step that runs all of the text again takes the longer the longer the text is."""
    quadratic: zerogpu.Forecast = lambda request: 1e-5 * request.max_new_tokens**2  # noqa: E731
    with pytest.raises(BadInput) as refused:
        zerogpu.check(race("no_cache", tokens=9000), quadratic)
    fits = refused.value.max_new_tokens
    assert fits is not None
    zerogpu.check(race("no_cache", tokens=fits), quadratic)
    assert zerogpu.seconds(race("no_cache", tokens=fits + 1), quadratic) > zerogpu.QUOTA_SECONDS
    with pytest.raises(BadInput, match="choose fewer lanes, or a shorter prompt"):
        zerogpu.check(race("no_cache"), lambda _: 1000.0)


def test_a_service_asks_for_what_its_own_runs_showed_and_says_so_before_a_measurement(tiny_folder: Path) -> None:
    service = app.make_zerogpu_service(str(tiny_folder), Limits(), device="cpu")
    form = {"prompt": "Hi", "max_new_tokens": 100, "strategies": "dynamic_cache", "ignore_eos": True, "chat": False}
    assert service.forecast(race("dynamic_cache")) is None
    measured = {**form, "repeats": 2, "warmup": 1}
    assert service.estimate(measured).endswith(f"It asks for {10 + 3 * 4} GPU seconds.")
    list(service.race(form, "r"))
    predicted = service.forecast(RaceRequest.parse(form))
    assert predicted is not None
    assert service.forecast(RaceRequest.parse({**form, "max_new_tokens": 50})) < predicted  # type: ignore[operator]
    asked = zerogpu.seconds(MeasureRequest.parse(measured), service.forecast)
    assert service.estimate(measured).endswith(f"It asks for {asked:,} GPU seconds.")
    assert asked != 10 + 3 * 4


def test_the_function_that_gets_the_gpu_is_a_generator_and_a_race_beyond_the_quota_never_asks(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def lend(duration: Callable[..., int]) -> Callable[[BatchesOf], BatchesOf]:
        """What `spaces.GPU` does: for how long, it finds out from the arguments of each call."""

        def decorated(task: BatchesOf) -> BatchesOf:
            assert inspect.isgeneratorfunction(task)  # else a GPU is lent until the function has returned
            return lambda request, run_id: asked.append(duration(request, run_id)) or task(request, run_id)

        return decorated

    monkeypatch.setattr(app.spaces, "GPU", lend)
    service = Service(str(tiny_folder), device="cpu", on_gpu=app.on_zerogpu)
    form = {"prompt": "Hi", "max_new_tokens": 4, "strategies": "no_cache", "ignore_eos": True}
    assert isinstance([event for batch in service.race(form, "r1") for event in batch][-1], Finished)
    assert asked == [10]
    with pytest.raises(BadInput, match="GPU seconds"):
        list(service.race(form | {"max_new_tokens": 2000, "strategies": "speculative,no_cache"}, "r2"))
    assert asked == [10]
