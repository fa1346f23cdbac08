import inspect
import json
import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from kvdemo import space
from kvdemo.core.errors import BadInput
from kvdemo.core.events import Finished, Progress
from kvdemo.core.settings.inside import InsideRequest
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import RaceRequest
from kvdemo.measure.roofline import kernel_launches
from kvdemo.models.names import catalog
from kvdemo.models.sources import random_weights
from kvdemo.server import zerogpu
from kvdemo.server.limits import Limits
from kvdemo.server.run import Asked
from kvdemo.server.runs import BatchesOf
from kvdemo.server.service import Service
from kvdemo.server.zerogpu import Terms

MEASURED = Path(__file__).parents[2] / "benchmarks/results/gpu-nvidia-h100-80gb-hbm3.json"
#: A pass of 20 ms, and twice that is asked for: 4 s for a lane of 100 tokens, behind the start.
ROOFLINE = Terms(pass_seconds=lambda: 0.02)


def race(*strategies: str, tokens: int = 100) -> RaceRequest:
    return RaceRequest("Hi", strategies=strategies, max_new_tokens=tokens)


def test_the_gpu_seconds_of_a_lane_count_each_of_its_passes() -> None:
    assert ROOFLINE.ask(race("dynamic_cache")) == (10 + 4, "roofline")
    assert ROOFLINE.ask(race("no_cache", "beam_search:beams=8")).seconds == 10 + 8
    # A draft model may run four passes for each pass of the model, and no guess need be right.
    assert ROOFLINE.ask(race("speculative")).seconds == 10 + 5 * 4
    assert ROOFLINE.ask(race("speculative:draft_tokens=9", "dynamic_cache")).seconds == 10 + 11 * 4


def test_the_gpu_seconds_of_a_measurement_count_all_runs_and_of_inside_all_panels() -> None:
    request = MeasureRequest.parse({"prompt": "Hi", "max_new_tokens": 100, "repeats": 2, "warmup": 1})
    assert ROOFLINE.ask(request).seconds == 10 + 2 * 3 * 4
    inside = InsideRequest.parse({"prompt": "Hi", "max_new_tokens": 100, "panels": "attention,roles"})
    assert ROOFLINE.ask(inside).seconds == 10 + 2 * zerogpu.PASSES_A_PANEL * 4


def test_no_more_gpu_seconds_are_asked_for_than_the_servers_time_limit() -> None:
    terms = Terms(pass_seconds=lambda: 0.02, most=Limits(race_seconds=300).seconds)
    assert terms.ask(race("dynamic_cache", tokens=100_000)).seconds == 10 + 300


def test_twice_the_time_predicted_from_earlier_steps_is_asked_for() -> None:
    assert Terms(lambda _: 1.2, lambda: 0.02).ask(race("dynamic_cache")) == (10 + 3, "steps")
    assert Terms(lambda _: 40.0, lambda: 0.02).ask(race("no_cache", tokens=2000)) == (10 + 80, "steps")


def test_a_pass_takes_the_longer_of_launching_its_operations_and_reading_the_weights() -> None:
    launched = 1000 * zerogpu.OPERATION_SECONDS
    assert zerogpu.pass_seconds(1000, 240_000_000, "NVIDIA H200") == launched
    assert zerogpu.pass_seconds(1000, 240_000_000_000, "NVIDIA H200") == 0.1
    assert zerogpu.pass_seconds(None, 240_000_000, "NVIDIA H200") == 0.0001
    assert zerogpu.pass_seconds(1000, 240_000_000_000, "a GPU of next year") == launched
    assert zerogpu.pass_seconds(None, 240_000_000, "a GPU of next year") is None


@pytest.mark.slow  # it lays out networks of full size
def test_the_time_of_an_operation_is_that_of_the_slowest_measured_model() -> None:
    figures = json.loads(MEASURED.read_text("utf-8"))["figures"]
    steps = {
        "gemma-3-1b": "step at a new length, cuDNN off",
        "qwen3-0.6b": "step at a new length, cuDNN off",
        "llama-2-7b": "dynamic_cache: step at 480 positions",
    }
    each = []
    for shape, name in steps.items():
        (seconds,) = (one["value"] / 1000 for one in figures if (one["shape"], one["name"]) == (shape, name))
        operations = kernel_launches.operations_of_pass(random_weights.config(shape), shape)
        assert operations
        each.append(seconds / operations)
    assert max(each) == pytest.approx(zerogpu.OPERATION_SECONDS, rel=0.02)
    assert min(each) > 0.75 * max(each)  # three sizes of models, and one time for an operation of any


def test_each_gpu_that_spaces_knows_has_a_bandwidth() -> None:
    known = json.loads(files("spaces.zero").joinpath("configs.json").read_text("utf-8"))
    assert {one["model"] for one in known} <= zerogpu.BANDWIDTHS.keys()
    assert space.lent_gpu() in zerogpu.BANDWIDTHS


def test_the_sentence_names_the_basis_of_the_prediction_and_the_visitors_quota() -> None:
    assert "14 GPU seconds, predicted from the model's size" in ROOFLINE.sentence(race("dynamic_cache"))
    assert "13 GPU seconds, predicted from the steps" in Terms(lambda _: 1.2).sentence(race("dynamic_cache"))
    assert "60 GPU seconds, as nothing predicts" in Terms().sentence(race("dynamic_cache"))
    assert "not signed in" not in ROOFLINE.sentence(race("dynamic_cache"))
    long = ROOFLINE.sentence(race("dynamic_cache", tokens=100_000))
    assert long.endswith("A visitor who is not signed in has 120 a day.")


def said(requested: int, left: int) -> str:
    return f"ZeroGPU quota exceeded: You have exceeded your ZeroGPU quota ({requested}s requested vs. {left}s left). "


@pytest.mark.parametrize("lanes", [("dynamic_cache",), ("no_cache", "dynamic_cache"), ("speculative", "batched")])
def test_the_token_count_that_a_refusal_proposes_fits(lanes: tuple[str, ...]) -> None:
    refused = ROOFLINE.refusal(race(*lanes, tokens=100_000), said(4010, 120))
    fits = refused.max_new_tokens
    assert fits is not None
    assert str(refused).endswith(f"(4010s requested vs. 120s left). Or ask for at most {fits:,} new tokens.")
    assert ROOFLINE.ask(race(*lanes, tokens=fits)).seconds <= 120
    assert ROOFLINE.ask(race(*lanes, tokens=fits + 30)).seconds > 120


def test_a_refusal_proposes_a_token_count_from_the_prediction() -> None:
    """A step that runs all of the text again takes the longer the longer the text is."""
    quadratic = Terms(lambda request: 1e-5 * request.max_new_tokens**2)  # type: ignore[union-attr]
    fits = quadratic.refusal(race("no_cache", tokens=9000), said(1630, 34)).max_new_tokens
    assert fits is not None
    assert quadratic.ask(race("no_cache", tokens=fits)).seconds <= 34
    assert quadratic.ask(race("no_cache", tokens=fits + 1)).seconds > 34
    nothing = Terms(lambda _: 1000.0).refusal(race("no_cache"), said(2010, 120))
    assert nothing.max_new_tokens is None
    assert str(nothing).endswith("No race fits into what is left.")


def test_a_refusal_for_another_reason_is_passed_on_unchanged() -> None:
    refused = ROOFLINE.refusal(race("no_cache"), "ZeroGPU worker error: GPU task aborted")
    assert (str(refused), refused.max_new_tokens) == ("ZeroGPU worker error: GPU task aborted.", None)


def test_a_service_predicts_gpu_seconds_from_its_own_runs_and_shows_them_before_a_run(tiny_folder: Path) -> None:
    service = space.make_zerogpu_service(str(tiny_folder), Limits(), device="cpu")
    form = {"prompt": "Hi", "max_new_tokens": 100, "strategies": "dynamic_cache", "ignore_eos": True, "chat": False}
    measured = {**form, "repeats": 2, "warmup": 1}
    assert "60 GPU seconds, as nothing predicts" in service.estimate(measured)
    service.preload()
    assert service.forecast(race("dynamic_cache")) is None
    assert "no run has shown a step yet." in service.estimate(measured)
    assert "no run has shown a step yet." in str(service.gpu_cost(form))
    assert service.gpu_cost({**form, "max_new_tokens": "many"}) == ""
    panel = service.panel_gpu_cost({"prompt": "Hi", "max_new_tokens": 100})
    asked = int(re.findall(r"^Each panel that comes into view asks for (\d+) GPU seconds, predicted", str(panel))[0])
    each = InsideRequest.parse({"prompt": "Hi", "max_new_tokens": 100, "panels": "roles"})
    assert asked == Terms(pass_seconds=lambda: service.pass_seconds(space.lent_gpu())).ask(each).seconds
    assert service.panel_gpu_cost({"prompt": ""}) == ""
    list(service.race(form, "r"))
    predicted = service.forecast(RaceRequest.parse(form))
    assert predicted is not None
    assert service.forecast(RaceRequest.parse({**form, "max_new_tokens": 50})) < predicted  # type: ignore[operator]
    for line, request in (
        (service.estimate(measured), MeasureRequest.parse(measured)),
        (service.gpu_cost(form), RaceRequest.parse(form)),
    ):
        asked = Terms(service.forecast).ask(request).seconds
        assert str(line).endswith(f"It asks for {asked:,} GPU seconds, predicted from the steps of earlier runs.")


def test_a_zerogpu_page_offers_its_one_model_only() -> None:
    service = space.make_zerogpu_service(catalog.DEFAULT, Limits(), device="cpu")
    assert [model["id"] for model in service.models()] == [catalog.DEFAULT.partition("/")[2]]
    assert not any(service.free_names().values())


def test_a_server_with_its_own_device_states_no_gpu_seconds(tiny_folder: Path) -> None:
    service = Service(str(tiny_folder), device="cpu")
    assert service.gpu_cost({"prompt": "Hi"}) is None
    assert service.panel_gpu_cost({"prompt": "Hi"}) is None
    assert "GPU seconds" not in service.estimate({"prompt": "Hi", "max_new_tokens": 4})


def test_the_function_that_gets_the_gpu_is_a_generator_and_a_refusal_becomes_a_sentence(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def lend(duration: Callable[..., int]) -> Callable[[BatchesOf], BatchesOf]:
        """What `spaces.GPU` does: for how long, it finds out from the arguments of each call."""

        def decorated(task: BatchesOf) -> BatchesOf:
            assert inspect.isgeneratorfunction(task)  # else a GPU is lent until the function has returned

            def lent(*given: Any) -> Iterator[Any]:
                asked.append(duration(*given))
                if asked[-1] > 30:
                    raise gr.Error(said(asked[-1], 30).partition(": ")[2], title="ZeroGPU quota exceeded")
                yield from task(*given)

            return lent

        return decorated

    monkeypatch.setattr(space.spaces, "GPU", lend)
    service = Service(str(tiny_folder), device="cpu", on_gpu=lambda batches_of: space.on_zerogpu(batches_of, ROOFLINE))
    form = {"prompt": "Hi", "max_new_tokens": 4, "strategies": "no_cache", "ignore_eos": True}
    assert isinstance([event for batch in service.race(form, "r1") for event in batch][-1], Finished)
    assert asked == [11]
    with pytest.raises(BadInput, match="ZeroGPU quota exceeded: .* vs. 30s left") as refused:
        list(service.race(form | {"max_new_tokens": 2000}, "r2"))
    assert refused.value.max_new_tokens == 500


def test_a_refusal_of_the_gpu_process_keeps_its_token_count() -> None:
    """`spaces` tells of what is raised there nothing but its name."""

    def fails(*_: Any) -> Iterator[list[Any]]:
        yield [Progress("Loading")]
        raise BadInput("Ask for less.", max_new_tokens=7)

    batches = space.on_zerogpu(fails, ROOFLINE)(race("no_cache"), "r", Asked())  # type: ignore[arg-type]
    assert next(batches) == [Progress("Loading")]
    with pytest.raises(BadInput, match="Ask for less") as told:
        next(batches)
    assert told.value.max_new_tokens == 7
