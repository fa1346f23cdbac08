"""What a visitor sent to plan or compare is worked on with limits: it cannot hold the server or fill its memory."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.system import public_server
from kvdemo.models.names import offered
from kvdemo.server.questions import planning
from kvdemo.server.service import Service
from kvdemo.web.tabs.compare import MOST_BYTES

pytestmark = pytest.mark.slow
MACHINE = {"memory_gb": 16, "bandwidth_gb_s": 320}


@pytest.fixture(scope="module")
def service() -> Service:
    made = Service()
    made.plan(MACHINE | {"config": '{"model_type": "gpt2"}'})  # what is imported once
    return made


@pytest.mark.parametrize(
    "config",
    [
        '{"model_type": "nemotron_h", "hybrid_override_pattern": "' + "*" * 900_000 + '"}',
        '{"model_type": "jamba", "num_hidden_layers": 1000, "num_experts": 65536}',
        '{"model_type": "mixtral", "num_hidden_layers": 1000, "num_local_experts": 65536}',
        '{"model_type": "bamba", "num_hidden_layers": 1000}',
    ],
    ids=["pattern", "jamba", "mixtral", "bamba"],
)
def test_a_hostile_configuration_is_refused_or_answered_in_seconds(service: Service, config: str) -> None:
    begun = time.monotonic()
    try:
        assert service.plan(MACHINE | {"config": config})["model"]
    except BadInput as refused:
        assert "Traceback" not in str(refused)
    assert time.monotonic() - begun < 15  # 5 s on a machine with nothing else to do; it was more than 60


def test_no_spelling_of_a_model_has_its_plan_worked_out_again(service: Service) -> None:
    planning.shape.cache_clear()
    planning.foreign_shape.cache_clear()
    page = "https://huggingface.co/openai-community/gpt2"
    for spelling in ("gpt2", "GPT2", " gPt2 ", "openai-community/GPT2", page, f"{page}?1", f"{page}?2#a"):
        assert service.plan(MACHINE | {"model": spelling})["model"]["name"] == "openai-community/gpt2"
    for spelling in ("random:gpt2", "RANDOM: GPT2"):
        service.plan(MACHINE | {"model": spelling})
    assert planning.shape.cache_info().misses == 2
    assert planning.foreign_shape.cache_info().misses == 0


def test_no_spelling_of_a_folder_has_its_plan_worked_out_again(service: Service, tiny_folder: Path) -> None:
    planning.foreign_shape.cache_clear()
    for spelling in (f"{tiny_folder}", f" {tiny_folder}", f"{tiny_folder}  "):
        service.plan(MACHINE | {"model": spelling})
    assert planning.foreign_shape.cache_info().misses == 1


@pytest.mark.parametrize(
    ("public", "models", "own"),
    [
        ("0", "", {"someone/a", "someone/b", "someone/default"}),
        ("1", "", {"someone/default"}),
        ("1", "someone/a", {"someone/a", "someone/default"}),
        ("1", "*,someone/a", {"someone/a", "someone/default"}),
    ],
)
def test_a_stranger_plans_with_what_is_the_operators_only_where_he_offers_it(
    monkeypatch: pytest.MonkeyPatch, public: str, models: str, own: set[str]
) -> None:
    asked: dict[str, bool] = {}
    found = planning.shape("random:gpt2", own=True)
    monkeypatch.setattr(planning, "foreign_shape", lambda _, name, **how: asked.update({name: how["own"]}) or found)
    monkeypatch.setenv(public_server.VARIABLE, public)
    monkeypatch.setenv(offered.VARIABLE, models)
    made = Service("someone/default")
    for name in ("someone/a", "someone/b", "someone/default"):
        made.plan(MACHINE | {"model": name})
    assert {name for name, owned in asked.items() if owned} == own


def test_a_pasted_configuration_gives_the_same_plan_as_in_the_process(service: Service) -> None:
    plan = service.plan(MACHINE | {"config": '{"model_type": "gpt2"}', "dtype": "float16"})
    assert plan["cache"]["bytes_per_token"] == 36_864
    with pytest.raises(BadInput, match="not valid JSON"):
        service.plan(MACHINE | {"config": "{oops"})


def test_two_files_of_the_largest_size_are_compared_or_refused_in_seconds() -> None:
    runs = [{"tokens": 8, "e2e_s": 1.1 + n % 7, "ttft_s": 0.1, "tpot_s": 0.2} for n in range(MOST_BYTES // 64)]
    document = {
        "schema": 1, "kind": "measure", "environment": {}, "model": {"id": "m"}, "settings": {},
        "prompt": {"text": "x", "tokens": [1]}, "lanes": [{"strategy": "no_cache", "name": "N", "runs": runs}],
    }  # fmt: skip
    text = json.dumps(document)
    assert len(text) > 0.9 * MOST_BYTES
    service = Service()
    begun = time.monotonic()
    with contextlib.suppress(BadInput):
        assert service.compare(text, text + " ")["comparison"]["lanes"]
    assert time.monotonic() - begun < 15  # 5 s on a machine with nothing else to do


def test_a_file_that_is_no_document_is_refused_in_one_sentence() -> None:
    found = Service().compare("{oops", None)
    assert found["a"]["fault"].startswith("The file is not JSON")
    assert found["b"] is found["comparison"] is None
