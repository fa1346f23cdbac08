"""A few steps must tell how long a run takes, at once, whatever the strategy's step is made of."""

import threading
import time

import pytest

from kvdemo import strategies
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.types import TimedStep
from kvdemo.costs.architecture import Architecture, LayerCache
from kvdemo.measure import first_steps
from kvdemo.measure.first_steps import Probe
from kvdemo.measure.roofline import kernel_launches
from kvdemo.measure.roofline.bounds import RooflineModel
from kvdemo.measure.roofline.device_peaks import DevicePeaks
from kvdemo.models.loaded import LoadedModel
from tests.scripted import step, time_steps

#: As large as Gemma 3 27B: 62 layers, five of six with a window of 1,024.
GEMMA = RooflineModel(
    Architecture(
        "gemma-like",
        (*[LayerCache("sliding", 16, 128, window=1023)] * 52, *[LayerCache("full", 16, 128)] * 10),
        32, 128, 5376, 262_144, 27_000_000_000, 27_000_000_000, 131_072, "grouped-query",
    ),
    DevicePeaks(3e12, 3e12, 6e14, 5e-6, "bfloat16", "cuda"), 2, None, 54_000_000_000,
)  # fmt: skip


def probed(spec: str, *seconds: float) -> Probe:
    return Probe(strategies.get(spec), list(time_steps(seconds)))


@pytest.mark.parametrize(
    ("spec", "prompt", "new", "expected"),
    [
        ("dynamic_cache", 10, 100, 3.0 + 99 * 1.0),
        ("dynamic_cache", 10, 1, 3.0),
        ("no_cache", 10, 100, 3.0 + 99 * 1.0),
    ],
)
def test_a_run_is_predicted_from_its_first_steps(spec: str, prompt: int, new: int, expected: float) -> None:
    assert probed(spec, 3.0, 1.0, 1.0).seconds(GEMMA, prompt, new) == pytest.approx(expected)


def test_a_search_of_one_step_is_predicted_by_its_tokens() -> None:
    whole = Probe(strategies.get("beam_search"), [TimedStep(step(1, 2, 3, 4), 8.0)])
    assert whole.seconds(GEMMA, 10, 100) == pytest.approx(100 * 2.0)


def test_a_long_run_without_a_cache_takes_at_least_its_arithmetic() -> None:
    prompt, new = 1000, 4096
    found = probed("no_cache", 1e-6, 1e-6).seconds(GEMMA, prompt, new)
    exact = sum(GEMMA.no_cache_floor_s(context) for context in range(prompt, prompt + new))
    assert found == pytest.approx(exact, rel=0.01)


def test_the_floors_of_a_hundred_thousand_steps_are_a_closed_form() -> None:
    start = time.perf_counter()
    for spec in ("no_cache", "dynamic_cache", "batched:rows=64"):
        probed(spec, 0.1, 0.1).seconds(GEMMA, 2000, 100_000)
    assert time.perf_counter() - start < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [1, 2, 3, 30])
@pytest.mark.parametrize("spec", ["no_cache", "dynamic_cache", "static_cache", "prompt_lookup", "beam_search:beams=32"])
def test_every_lane_that_decodes_is_counted(tiny_llama: LoadedModel, spec: str, tokens: int) -> None:
    """Whether it ends within the probe or goes on, in one step or in many."""
    request = RaceRequest("fox fox fox", max_new_tokens=tokens, ignore_eos=True)
    strategy = strategies.get(spec)
    found = first_steps.take(
        strategy, request, tiny_llama, tiny_llama.prompt("fox fox fox", chat=False), threading.Event()
    )
    assert found is not None and found.steps
    if tokens > 1 or strategy.searches:
        assert found.operations is not None and 50 < found.operations < 400
    else:
        assert found.operations is None  # there is no decoding step


def test_lanes_of_compiled_code_are_not_counted(tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled code would be compiled anew for it, and its launches are not those of the operations in it."""
    assert not strategies.get("compiled_cache").eager
    strategy = strategies.get("static_cache")
    monkeypatch.setattr(type(strategy), "eager", False)
    monkeypatch.setattr(kernel_launches, "LaunchCounter", lambda: pytest.fail("counted"))
    request = RaceRequest("fox", max_new_tokens=9)
    found = first_steps.take(strategy, request, tiny_llama, tiny_llama.prompt("fox", chat=False), threading.Event())
    assert found is not None and found.operations is None


def test_a_probe_reserves_the_cache_size_of_the_run(tiny_llama: LoadedModel) -> None:
    """A cache of another size would be compiled for in vain."""
    request = RaceRequest("fox", max_new_tokens=100, ignore_eos=True)
    prompt = tiny_llama.prompt("fox", chat=False)
    found = first_steps.take(strategies.get("static_cache"), request, tiny_llama, prompt, threading.Event())
    assert found is not None
    details = found.steps[0].step.details
    assert details["bytes_reserved"] / details["bytes_used"] > 20


def test_a_stopped_probe_returns_none(tiny_llama: LoadedModel) -> None:
    stop = threading.Event()
    stop.set()
    request = RaceRequest("fox", max_new_tokens=9)
    prompt = tiny_llama.prompt("fox", chat=False)
    assert first_steps.take(strategies.get("no_cache"), request, tiny_llama, prompt, stop) is None
