"""Every strategy through the whole product: verdict, document, forecast and measurement, at the shortest of answers.

Most figures of a lane need two steps, or two tokens, and some strategies commit all they have in one step.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pytest

from kvdemo import strategies
from kvdemo.core.events import Finished
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.types import Pass
from kvdemo.documents import schema
from kvdemo.measure import measurement
from kvdemo.measure.duration_forecast import StepTimeModel
from kvdemo.measure.report.csv_tables import to_csv
from kvdemo.measure.report.tables import to_markdown
from kvdemo.measure.roofline.device_peaks import DevicePeaks
from kvdemo.models.loaded import LoadedModel
from kvdemo.race import session
from kvdemo.strategies.base import Strategy
from kvdemo.strategies.draft import draft_model

from .conftest import DRAWS, similar
from .layered import model_of

pytestmark = pytest.mark.slow

PROMPT = "w3 w4 w5 w3 w4"
#: Faster than any device, so that no floor may be above what was measured.
LIMITS = DevicePeaks(1e15, 2e15, 1e18, 1e-9, "float32", "cpu")
#: Those that hold exactly the keys and values of the positions that they ran.
EXACT = (
    *("reencode", "no_cache", "dynamic_cache", "prefix_cache", "batched"),
    *("prompt_lookup", "speculative", "lookahead", "early_exit"),
    *("beam_search", "diverse_beam_search", "contrastive_search", "dola", "best_of_n"),
)

every_strategy = pytest.mark.parametrize(
    "strategy",
    [
        *(strategies.get(DRAWS.get(i, i)) for i in strategies.introductions()),
        strategies.get("batched:rows=64"),
        strategies.get("beam_search:beams=32"),
        strategies.get("sliding_window:window=2:sinks=1"),
        strategies.get("prompt_lookup:ngram=1"),
    ],
    ids=lambda strategy: strategy.spec,
)


@pytest.fixture(autouse=True)
def a_draft_model_and_known_limits(monkeypatch: pytest.MonkeyPatch, word_models: Mapping[str, LoadedModel]) -> None:
    draft = similar(word_models["llama"], noise=0.02)
    monkeypatch.setattr(draft_model, "load_draft", lambda _model, _asked: draft)
    monkeypatch.setattr(draft_model, "unavailable_reason", lambda _model, _asked: None)
    monkeypatch.setattr(measurement, "measure_peaks", lambda *_: LIMITS)
    monkeypatch.setattr("gc.collect", lambda *_: 0)  # in a process full of tests it takes longer than a run


def available(strategy: Strategy, model: LoadedModel) -> LoadedModel:
    if reason := strategy.unavailable_reason(model):
        pytest.skip(reason)
    return model


def raced(model: LoadedModel, tokens: int, *specs: str, eos: bool = False) -> Finished:
    request = RaceRequest(PROMPT, strategies=specs, max_new_tokens=tokens, chat=False, ignore_eos=not eos)
    return session.run(request, model, lambda _: None, threading.Event())


def measured(model: LoadedModel, tokens: int, *specs: str, **more: Any) -> dict[str, Any]:
    short = {"prompt": PROMPT, "max_new_tokens": tokens, "repeats": 1, "warmup": 0, "chat": False}
    request = MeasureRequest.parse(short | {"strategies": list(specs)} | more)
    return measurement.run(request, model, "run", lambda _: None, threading.Event())


def assert_sound(document: Mapping[str, Any]) -> None:
    """As its schema says, and no sentence with a number that is none."""
    schema.check(document)
    text = json.dumps(document, allow_nan=False)
    assert not any(f" {word}{end}" in text for word in ("nan", "inf") for end in (" ", "×", "."))


@every_strategy
def test_a_race_of_any_length_ends_with_a_verdict(strategy: Strategy, word_models: Mapping[str, LoadedModel]) -> None:
    model = available(strategy, word_models["llama"])
    for tokens in range(1, 9) if strategy.eager else (1, 2, 5):  # compiling takes seconds
        finished = raced(model, tokens, "reencode", strategy.spec, "no_cache")
        document = dict(finished.document)
        assert_sound(document)
        assert [lane["status"] for lane in document["lanes"]] == ["done"] * 3
        assert finished.verdict.headline and all(finished.verdict.sentences)
        lane = document["lanes"][1]
        metrics = lane["metrics"]
        if strategy.searches:
            assert (metrics["ttft_s"], metrics["tpot_s"], metrics["itl_s"]) == (None, None, None)
            assert metrics["level_s"] == pytest.approx(metrics["e2e_s"] / metrics["levels"])
        else:
            assert metrics["ttft_s"] > 0 and metrics["levels"] is None
            assert (metrics["tpot_s"] is None) == (len(lane["steps"]) < 2)
            assert metrics["tpot_s"] != 0
        costs = StepTimeModel.fit(document)
        if tokens > 1:
            assert costs is not None
            for spec in (strategy.spec, "no_cache", "dynamic_cache"):
                seconds = costs.seconds(spec, 100, 50)
                assert seconds is not None and 0 < seconds < math.inf


@every_strategy
def test_any_strategy_can_be_the_baseline(strategy: Strategy, word_models: Mapping[str, LoadedModel]) -> None:
    model = available(strategy, word_models["llama"])
    for tokens in (1, 2, 5):
        assert_sound(raced(model, tokens, strategy.spec, "dynamic_cache", "beam_search").document)


@every_strategy
@pytest.mark.parametrize("tokens", [1, 2, 3, 8])
def test_a_measurement_of_any_length_has_finite_positive_floors(
    strategy: Strategy, tokens: int, word_models: Mapping[str, LoadedModel]
) -> None:
    model = available(strategy, word_models["llama"])
    specs = ["dynamic_cache", *([strategy.spec] if strategy.spec != "dynamic_cache" else [])]
    sweep = {"sweep_prompt": "4", "sweep_tokens": "1,3"} if tokens == 8 else {}
    document = measured(model, tokens, *specs, **sweep)
    assert_sound(document)
    assert (document["status"], document["notes"]) == ("done", [])
    assert to_csv(document) and to_markdown(document)
    assert tokens < 8 or len(document["sweep"]["cells"]) == 2
    lane = document["lanes"][-1]
    roofline, memory = lane["roofline"], lane["memory"]
    if tokens == 1 and not strategy.searches:
        assert roofline is None  # nothing was decoded
    elif tokens > 1:
        assert 0 < roofline["floor_s"] < math.inf and 0 < roofline["achieved_bytes_per_s"] < math.inf
        assert 0 < roofline["percent_of_floor"] <= 100
        assert roofline["bound"] in ("launch", "bandwidth", "compute")
        assert (roofline["operations_per_pass"] is None) == (not strategy.eager)
    if strategy.id in EXACT:
        assert memory["cache_bytes_formula_note"] is None
        assert memory["cache_bytes_formula"] == memory["cache_bytes"]
    else:
        assert memory["cache_bytes_formula"] > 0 and memory["cache_bytes_formula_note"].endswith(".")


@pytest.mark.parametrize("architecture", ["mistral", "gemma3"])
@pytest.mark.parametrize("spec", ["batched", "beam_search", "prompt_lookup", "speculative"])
def test_the_bytes_of_windowed_caches_are_those_of_the_formula(
    architecture: str, spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows, wrong drafts and windows together; the draft model has windows too."""
    model = model_of(architecture)
    draft = similar(model, noise=0.02)
    monkeypatch.setattr(draft_model, "load_draft", lambda _model, _asked: draft)
    for tokens in (2, 7, 20):
        memory = measured(model, tokens, spec, repeats=1)["lanes"][0]["memory"]
        assert memory["cache_bytes"] == memory["cache_bytes_formula"] > 0


def test_steps_of_several_rows_count_the_flops_of_each_row(word_models: Mapping[str, LoadedModel]) -> None:
    """Rows share the weights; the passes of a search read them again each time."""
    model = word_models["llama"]
    one, many, beams = measured(model, 8, "dynamic_cache", "batched:rows=64", "beam_search:beams=4")["lanes"]
    floors = [lane["roofline"]["floor_s"] for lane in (one, many)]
    assert floors[0] < floors[1] < 64 * floors[0]
    assert sum(map(len, beams["passes"])) == 8  # the prompt and seven levels more
    assert many["passes"][1] == [asdict(Pass(64, 1, 6))] and one["passes"] is None


def test_a_lane_that_ends_at_once_is_not_the_fastest(word_models: Mapping[str, LoadedModel]) -> None:
    """Here every lane ends at the same token; the verdict must not claim a speed from the prompt alone."""
    model = word_models["llama"]
    first = raced(model, 1, "no_cache").document["lanes"][0]["tokens"][0]
    eos, model.tokenizer.eos_token_id = model.tokenizer.eos_token_id, first
    try:
        finished = raced(model, 8, "no_cache", "dynamic_cache", "beam_search:beams=32", eos=True)
    finally:
        model.tokenizer.eos_token_id = eos
    assert_sound(finished.document)
