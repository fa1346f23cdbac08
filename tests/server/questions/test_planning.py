"""What a visitor sent to plan or compare is worked on with limits: it cannot hold the server or fill its memory."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvdemo.core.errors import BadInput, NoTime
from kvdemo.core.system import public_server
from kvdemo.core.visitor import NOBODY, Visitor
from kvdemo.models.names import offered
from kvdemo.server.questions import planning
from kvdemo.server.service import Service
from kvdemo.web.tabs.compare import MOST_BYTES

pytestmark = pytest.mark.slow
MACHINE = {"memory_gb": 16, "bandwidth_gb_s": 320}


def noted_calls(monkeypatch: pytest.MonkeyPatch, come_to: Callable[[str], Any] | None = None) -> list[str]:
    """What is worked out from now on, where nothing is remembered. `come_to` stands in for the process."""
    called: list[str] = []
    really = planning.PLANNER.call

    def call(what: str, function: str, asked: str, **how: Any) -> Any:
        called.append(asked)
        return come_to(asked) if come_to else really(what, function, asked, **how)

    monkeypatch.setattr(planning.PLANNER, "call", call)
    monkeypatch.setattr(planning, "FOREIGN", planning.Remembered())
    return called


@pytest.fixture(scope="module")
def service() -> Service:
    made = Service()
    made.plan(MACHINE | {"config": '{"model_type": "gpt2"}'})  # what is imported once
    return made


@pytest.mark.parametrize(
    "config",
    [
        '{"model_type": "nemotron_h", "hybrid_override_pattern": "' + "*" * 900_000 + '"}',
        '{"model_type": "jamba", "num_hidden_layers": 400, "num_experts": 65536}',
        '{"model_type": "mixtral", "num_hidden_layers": 400, "num_local_experts": 65536}',
        '{"model_type": "bamba", "num_hidden_layers": 400}',
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


def test_no_spelling_of_a_model_has_its_plan_worked_out_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    planning.shape.cache_clear()
    worked_out = noted_calls(monkeypatch)
    page = "https://huggingface.co/openai-community/gpt2"
    for spelling in ("gpt2", "GPT2", " gPt2 ", "openai-community/GPT2", page, f"{page}?1", f"{page}?2#a"):
        assert service.plan(MACHINE | {"model": spelling})["model"]["name"] == "openai-community/gpt2"
    for spelling in ("random:gpt2", "RANDOM: GPT2"):
        service.plan(MACHINE | {"model": spelling})
    assert planning.shape.cache_info().misses == 2
    assert worked_out == []


def test_no_spelling_of_a_folder_has_its_plan_worked_out_again(
    service: Service, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked_out = noted_calls(monkeypatch)
    for spelling in (f"{tiny_folder}", f" {tiny_folder}", f"{tiny_folder}  "):
        service.plan(MACHINE | {"model": spelling})
    assert worked_out == [str(tiny_folder)]


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
    monkeypatch.setattr(planning, "foreign_shape", lambda _, name, __, **how: asked.update({name: how["own"]}) or found)
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


def refuse(_: str) -> Any:
    raise BadInput("The configuration takes more than 5 s to work out: choose another.")


def test_a_refused_configuration_is_refused_again_without_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have taken all the time that it may."""
    worked_out = noted_calls(monkeypatch, refuse)
    for config in ('{"a": 1}', '{"a":1}', ' {"a" :\n1}', '{"a": 1}' + " " * 900_000, '{"\\u0061": 1}'):
        with pytest.raises(BadInput, match="more than 5 s"):
            planning.foreign_shape("parse", config)
    assert worked_out == ['{"a": 1}']


def test_a_configuration_that_a_busy_machine_had_no_time_for_is_worked_out_when_it_is_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def busy(_: str) -> Any:
        raise NoTime("The configuration takes more than 5 s to work out while this computer is busy: try again.")

    worked_out = noted_calls(monkeypatch, busy)
    for _ in range(2):
        with pytest.raises(NoTime):
            planning.foreign_shape("parse", '{"a": 1}')
    assert len(worked_out) == 2


def test_a_refusal_is_forgotten_after_some_minutes_however_often_it_is_asked_for() -> None:
    now = [0.0]
    remembered = planning.Remembered(lambda: now[0])
    remembered.refuse("key", "no")
    for second in range(int(planning.REFUSED_SECONDS)):
        now[0] = float(second)
        with pytest.raises(BadInput, match="no"):
            remembered.find("key")
    now[0] = planning.REFUSED_SECONDS
    assert remembered.find("key") is None
    assert not remembered._found


def test_what_the_hub_or_a_folder_refuses_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    worked_out = noted_calls(monkeypatch, refuse)
    for _ in range(2):
        with pytest.raises(BadInput):
            planning.foreign_shape("from_hub", "someone/a", NOBODY, own=False)
    assert len(worked_out) == 2


def test_of_configurations_no_text_is_kept_and_few_architectures(monkeypatch: pytest.MonkeyPatch) -> None:
    noted_calls(monkeypatch, lambda _: planning.shape("random:gpt2", own=True))
    for n in range(planning.REMEMBERED + 10):
        planning.foreign_shape("parse", f'{{"a": {n}}}' + " " * 900_000)
        planning.foreign_shape("parse", f"[{n}{',1' * 400_000}]")
    assert len(planning.FOREIGN._found) == planning.REMEMBERED
    assert all(isinstance(key, bytes) and len(key) == 32 for key in planning.FOREIGN._found)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.integers(0, 5), st.booleans(), st.text(" \t\r\n", max_size=9))
def test_no_spelling_of_a_configuration_is_another_one(value: Any, indent: int, escaped: bool, padding: str) -> None:
    plain = planning.digest(json.dumps(value))
    spelt = json.dumps(value, indent=indent, ensure_ascii=escaped)
    assert planning.digest(padding + spelt + padding) == plain


@given(JSON, JSON)
def test_configurations_that_differ_are_no_spellings_of_each_other(a: Any, b: Any) -> None:
    """Else who pastes the one is told of the other. Of two keys that mean the same the last one counts."""
    assert (planning.digest(json.dumps(a)) == planning.digest(json.dumps(b))) == (json.dumps(a) == json.dumps(b))


@given(st.text())
def test_any_text_has_a_digest(text: str) -> None:
    assert planning.digest(text)


@pytest.mark.parametrize("text", ["[" * 900_000, "{oops", "\ud800", '{"a": ' + "9" * 5000 + "}", ""])
def test_what_is_no_json_has_a_digest_too(text: str) -> None:
    assert planning.digest(text) != planning.digest(text + "x")


@pytest.mark.parametrize("process", [planning.PLANNER, planning.COMPARER])
def test_an_address_waits_for_one_work_of_another_and_not_for_all_of_its(
    process: planning.InTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a plan as of a comparison."""
    order: list[str] = []
    go_on = threading.Event()

    def work(what: str, *_: Any, **__: Any) -> Any:  # noqa: ARG001
        order.append(threading.current_thread().name)
        go_on.wait(20)
        return planning.shape("random:gpt2", own=True)

    monkeypatch.setattr(planning, "FOREIGN", planning.Remembered())
    monkeypatch.setattr(process, "call", work)

    def asker(n: int, address: str) -> threading.Thread:
        visitor = Visitor(address=address)
        ask = {
            planning.PLANNER: lambda: planning.foreign_shape("parse", f"{n}", visitor),
            planning.COMPARER: lambda: planning.compare(f"{n}", None, visitor),
        }[process]
        thread = threading.Thread(target=ask, name=address, daemon=True)
        thread.start()
        while not order or len(process._turns) < n:
            time.sleep(0.001)
        return thread

    threads = [asker(n, "192.0.2.1") for n in range(5)] + [asker(5, "192.0.2.2")]
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert order == ["192.0.2.1", "192.0.2.2", *["192.0.2.1"] * 4]
