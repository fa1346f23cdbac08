"""The endpoints for programs: their parameters keep names, places, types and defaults."""

import inspect
import re
from typing import Any

import gradio as gr
import pytest

from kvdemo.core.errors import BadInput
from kvdemo.server.service import Service
from kvdemo.web.api import endpoints as api
from kvdemo.web.page import build
from tests.cases import cases
from tests.web.loops import called
from tests.web.scripted_backend import FORM, PRESETS, ScriptedBackend

NONE_GIVEN = inspect.Parameter.empty
SAMPLING = [("temperature", float, 0.0), ("top_p", float, 1.0), ("seed", int, 0)]
RACE = [
    *(("prompt", str, FORM["prompt"]), ("model", str, "org/model"), ("max_new_tokens", int, 128)),
    *(("strategies", list[str], FORM["strategies"]), ("schedule", str, "fair"), ("chat", bool, True), *SAMPLING),
    ("ignore_eos", bool, False),
]
MEASURE = [
    *(("prompt", str, FORM["prompt"]), ("model", str, "org/model"), ("max_new_tokens", int, 64)),
    *(("strategies", list[str], ["no_cache", "dynamic_cache"]), ("chat", bool, False), *SAMPLING),
    *(("repeats", int, 3), ("warmup", int, 1), ("sweep_prompt", str, ""), ("sweep_tokens", str, "")),
]


def parameters(endpoint: api.Endpoint) -> list[tuple[str, Any, Any]]:
    _, *found = inspect.signature(endpoint).parameters.values()  # the request, which Gradio gives
    return [(one.name, one.annotation, one.default) for one in found]


def test_positional_parameters_of_the_api_keep_their_order() -> None:
    backend = ScriptedBackend()
    for endpoint, places in ((api.race_endpoint, RACE), (api.measure_endpoint, MEASURE)):
        assert parameters(endpoint(backend))[: len(places)] == places


def test_the_documentation_of_the_api_lists_every_parameter() -> None:
    info = build(ScriptedBackend()).get_api_info()
    for name, expected in (("/race", RACE), ("/measure", MEASURE)):
        documented = info["named_endpoints"][name]["parameters"]  # type: ignore[index]
        named = [one["parameter_name"] for one in documented]
        assert named[: len(expected)] == [name for name, _, _ in expected]
        assert all(one["parameter_has_default"] for one in documented)


def test_parameters_reach_the_form_by_place_and_by_name() -> None:
    script = ScriptedBackend()
    called(api.race_endpoint(script), "Hi", max_new_tokens=7)
    assert {key: script.forms[0][key] for key in FORM} == FORM | {"prompt": "Hi", "max_new_tokens": 7}
    called(api.measure_endpoint(script), seed=5)
    assert script.forms[1]["seed"] == 5
    assert script.forms[1]["repeats"] == PRESETS[0]["form"]["repeats"]


@pytest.mark.parametrize("case", cases("lane_refusals"), ids=lambda case: case["lane"])
def test_a_lane_with_a_bad_setting_is_named_with_the_bound(case: dict[str, str]) -> None:
    with pytest.raises(gr.Error, match=re.escape(case["says"])):
        called(api.race_endpoint(Service()), "Hi", strategies=["dynamic_cache", case["lane"]])


def test_a_refusal_reaches_the_program_as_its_sentence() -> None:
    with pytest.raises(gr.Error, match="Too long"):
        called(api.race_endpoint(ScriptedBackend(refuse=BadInput("Too long."))))


def test_inside_streams_progress_and_ends_with_the_requested_panels() -> None:
    script = ScriptedBackend()
    *states, document = called(api.inside_endpoint(script), "The fox", panels=["past", "loops"])
    assert states[0] == {"state": "computing", "text": "Waiting for the device", "fraction": None, "panels": []}
    assert states[-1]["panels"] == ["past", "loops"]
    assert list(document["panels"]) == ["past", "loops"]
    assert (script.forms[0]["prompt"], script.forms[0]["append"]) == ("The fox", " dog")


def test_a_refusal_of_inside_reaches_the_program_as_its_sentence() -> None:
    with pytest.raises(gr.Error, match="Too long"):
        called(api.inside_endpoint(ScriptedBackend(refuse=BadInput("Too long."))))


def test_the_samplers_are_listed_for_programs_and_lanes_with_their_settings_reach_the_race() -> None:
    script = ScriptedBackend()
    assert "/samplers" in build(script).get_api_info()["named_endpoints"]
    lanes = ["dynamic_cache:temperature=0.8:top_k=50", "dynamic_cache"]
    called(api.race_endpoint(script), "Hi", strategies=lanes)
    assert script.forms[0]["strategies"] == lanes


def test_candidates_of_a_token_are_answered_outside_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    script = ScriptedBackend()
    monkeypatch.setitem(script.chosen_from, "reason", "Too old.")
    blocks = build(script)
    asking = next(fn for fn in blocks.fns.values() if fn.api_name == "candidates")
    assert asking.queue is False  # a race that runs, or waits for the device, does not hold it up
    assert asking.fn is not None
    assert asking.fn("run7", 1, 3) == {"candidates": None, "reason": "Too old."}
    assert script.asked == [("run7", 1, 3)]


def test_a_plan_requires_memory_and_bandwidth_and_sends_one_document() -> None:
    required = [name for name, _, default in parameters(api.plan_endpoint(ScriptedBackend())) if default is NONE_GIVEN]
    assert required == ["memory_gb", "bandwidth_gb_s"]
    service = Service("org/model")
    (document,) = called(api.plan_endpoint(service), model="random:gpt2", memory_gb=24, bandwidth_gb_s=600)
    assert document["kind"] == "plan"
    with pytest.raises(gr.Error, match="must be a number"):
        called(api.plan_endpoint(service), model="random:gpt2", memory_gb=0, bandwidth_gb_s=600)
