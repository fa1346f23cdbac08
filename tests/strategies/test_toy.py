"""Adding a strategy takes one file: it keeps the contract or fails it, is listed, raced, and has its controls."""

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import gradio as gr
import pytest

from kvdemo import strategies
from kvdemo.core.settings.race import RaceRequest
from kvdemo.race import session
from kvdemo.server.questions.listings import find_reasons, list_strategies
from kvdemo.strategies import StrategyInfo
from kvdemo.web.components import lane_settings
from kvdemo.web.components.fields import lane_picker
from tests.web.scripted_backend import ScriptedBackend

from ..toy import REFRESH, added
from . import test_contract as contract
from .layered import model_of


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StrategyInfo]:
    with added(tmp_path, monkeypatch) as introduction:
        yield introduction


@pytest.mark.slow  # the whole contract
@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("spec", ["refresh", "refresh:every=7", "refresh:between=all"])
def test_an_added_strategy_passes_the_contract(spec: str) -> None:
    strategy = strategies.get(spec)
    contract.test_a_strategy_introduces_itself(strategy)
    for name in ("qwen2", "jamba") if spec == "refresh" else ("qwen2",):
        model = model_of(name)
        contract.test_a_lossless_strategy_writes_what_generate_writes(strategy, 1, model)
        contract.test_every_step_commits_tokens_with_true_log_probabilities(strategy, model)
        contract.test_sampling_is_reproducible_and_depends_on_the_seed(strategy, model)
        contract.test_a_suspended_strategy_leaves_its_caller_outside_inference_mode(strategy, model)


def test_a_strategy_that_forgets_its_tokens_fails_the_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forgetful = REFRESH.replace("ids.append(choice.token)", "pass").replace('"refresh"', '"forgetful"')
    with added(tmp_path, monkeypatch, forgetful):
        strategy, model = strategies.get("forgetful"), model_of("qwen2")
        with pytest.raises(AssertionError):
            contract.test_a_lossless_strategy_writes_what_generate_writes(strategy, 1, model)
        with pytest.raises(AssertionError):
            contract.test_every_step_commits_tokens_with_true_log_probabilities(strategy, model)


@pytest.mark.usefixtures("toy")
def test_an_added_strategy_races_with_its_settings() -> None:
    form = {"prompt": "w3 w4 w5", "chat": False, "max_new_tokens": 9, "ignore_eos": True}
    request = RaceRequest.parse(form | {"strategies": "no_cache,refresh:every=2"})
    document = session.run(request, model_of("llama"), lambda _: None, Event()).document
    lane = document["lanes"][1]
    assert (lane["strategy"], lane["options"]) == ("refresh", {"every": 2, "between": "cache"})
    assert [step["positions"] for step in lane["steps"]] == [3, 1, 5, 1, 7, 1, 9, 1, 11]
    assert document["comparison"]["lanes"][0]["identical"]


def test_an_added_strategy_is_listed_with_a_control_for_each_setting(toy: StrategyInfo) -> None:
    listed = list_strategies(find_reasons(model_of("llama")))
    assert listed[-1]["available"] and listed[-1]["description"] == toy.description
    offers = lane_settings.offers(ScriptedBackend(offered=listed))
    with gr.Blocks():
        picker = lane_picker(["no_cache"], "kv-", tab="race", offers=offers)
    facts = json.loads(picker.js_on_load.split(", ", 5)[5].removesuffix(")"))
    offered = facts["offers"]["strategies"][-1]
    assert (offered["id"], offered["name"], offered["summary"]) == (toy.id, toy.name, toy.summary)
    every, between = offered["options"]["every"], offered["options"]["between"]
    assert (every["label"], every["default"], every["low"], every["high"], every["whole"]) == ("Every", 4, 1, 64, True)
    assert (between["label"], between["default"], between["choices"]) == ("Between", "cache", ["cache", "all"])
