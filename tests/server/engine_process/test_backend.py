"""A service in a process of its own, with a real model: it answers as in one process, and comes back when killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.events import Finished, RaceEvent, TokensCommitted
from kvdemo.core.visitor import Visitor
from kvdemo.measure import store
from kvdemo.server.engine_process import backend as backend_module
from kvdemo.server.engine_process.backend import EngineBackend
from kvdemo.server.engine_process.client import EngineLost
from kvdemo.server.limits import Limits
from kvdemo.server.observing.observed_backend import Observed
from kvdemo.server.service import Service

pytestmark = pytest.mark.slow

FORM: dict[str, Any] = {"prompt": "The quick brown fox", "max_new_tokens": 8, "ignore_eos": True, "chat": False}
#: Long enough to be interrupted.
LONG = {**FORM, "max_new_tokens": 1500, "strategies": "no_cache"}


@pytest.fixture(scope="module")
def backend(tiny_folder: Path) -> Iterator[EngineBackend]:
    made = EngineBackend(str(tiny_folder), device="cpu")
    made.preload()
    wait_until(lambda: made.status()["state"] == "ready")
    yield made
    made.engine.close()


def wait_until(true: Callable[[], bool], patience: float = 120) -> None:
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def events_of(batches: Iterator[list[RaceEvent]]) -> list[RaceEvent]:
    return [event for batch in batches for event in batch]


def interrupted(backend: EngineBackend, run_id: str, interrupt: Callable[[], None]) -> list[RaceEvent]:
    """A long race's events, with `interrupt()` called once it commits tokens."""
    events: list[RaceEvent] = []
    with closing(backend.race(LONG, run_id)) as batches:
        for batch in batches:
            if not any(isinstance(event, TokensCommitted) for event in events):
                events += batch
                if any(isinstance(event, TokensCommitted) for event in events):
                    interrupt()
            else:
                events += batch
    return events


def test_a_race_writes_the_same_text_as_in_one_process(backend: EngineBackend, tiny_folder: Path) -> None:
    alone = Service(str(tiny_folder), device="cpu")
    documents = []
    for service in (backend, alone):
        finished = events_of(service.race(FORM, "race"))[-1]
        assert isinstance(finished, Finished)
        documents.append(finished.document)
    assert documents[0]["lanes"][0]["tokens"] == documents[1]["lanes"][0]["tokens"]
    assert documents[0].keys() == documents[1].keys()


def test_a_form_with_a_text_of_megabytes_never_reaches_the_engines_process(monkeypatch: pytest.MonkeyPatch) -> None:
    unasked = EngineBackend("gpt2")
    monkeypatch.setattr(unasked, "engine", None)  # whatever asks it fails
    prompt, long = {"prompt": "Hi"}, "1," * 1_900_000
    runs = {"race": "strategies", "measure": "sweep_prompt", "inside": "panels", "plan": "context"}
    for method, setting in runs.items():
        arguments = () if method == "plan" else ("run",)
        with pytest.raises(BadInput, match="characters are read of the"):
            next(getattr(unasked, method)({**prompt, setting: long}, *arguments))
    assert "characters are read of the sweep's prompt lengths" in unasked.estimate({**prompt, "sweep_prompt": long})
    assert unasked.fit({**prompt, "model": long}) is None


@pytest.mark.parametrize("prompt", ["x" * 3_900_000, ["x"] * 1_000_000, {"x" * 3_900_000: 1}, [[["x" * 3_900_000]]]])
def test_a_prompt_or_a_configuration_of_megabytes_never_reaches_the_engines_process(
    prompt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    unasked = EngineBackend("gpt2")
    monkeypatch.setattr(unasked, "engine", None)  # whatever asks it fails
    refusals = "has 3,900,000 characters|must be text, not"
    for method in ("race", "measure", "inside"):
        with pytest.raises(BadInput, match=refusals):
            next(getattr(unasked, method)({"prompt": prompt}, "run"))
    with pytest.raises(BadInput, match=refusals):
        next(unasked.inside({"prompt": "Hi", "append": prompt}, "run"))
    with pytest.raises(BadInput, match=refusals):
        unasked.plan({"config": prompt})
    assert re.search(refusals, unasked.estimate({"prompt": prompt}))
    if isinstance(prompt, str):
        with pytest.raises(BadInput, match="The prompt has 3,900,000 characters, and this server reads 200,000"):
            unasked.fit({"prompt": prompt})
    else:
        assert unasked.fit({"prompt": prompt}) is None
    for setting in ("model", "strategies", "no such setting"):
        with pytest.raises(BadInput, match="characters are read of the"):
            next(unasked.race({"prompt": "Hi", setting: [[prompt], {"of it": prompt}]}, "run"))


def test_the_largest_prompt_that_the_operator_allows_reaches_the_engines_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend = EngineBackend("gpt2", limits=Limits(prompt_characters=20))
    monkeypatch.setattr(backend, "_ask_if_up", lambda *asked: asked[0])
    assert backend.fit({"prompt": "x" * 20}) == "fit"
    with pytest.raises(BadInput, match="this server reads 20"):
        backend.fit({"prompt": "x" * 21})


def test_a_fit_sends_what_it_counts_by_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    backend = EngineBackend("gpt2")
    monkeypatch.setattr(backend, "_ask_if_up", lambda *arguments: sent.append(arguments))
    backend.fit({"prompt": "Hi", "model": "gpt2", "chat": False, "strategies": "x" * 3_900_000})
    assert [form for _, form, _ in sent] == [{"prompt": "Hi", "model": "gpt2", "chat": False}]


def test_a_measurement_ends_with_its_document_and_is_stored(backend: EngineBackend) -> None:
    form = {**FORM, "strategies": "dynamic_cache", "repeats": 2}
    states = list(backend.measure(form, "measured-there"))
    assert states[-1]["document"]["status"] == "done"
    assert backend.measured("measured-there") == states[-1]["document"]


def test_a_stored_measurement_is_read_without_the_engine(
    backend: EngineBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process decodes, and would stand still for a quarter of a second for each."""
    monkeypatch.setattr(store, "folder", lambda: tmp_path)
    store.save({"run_id": "read", "status": "done"})
    monkeypatch.setattr(backend.engine, "call", lambda *_: pytest.fail("the engine's process was asked"))
    assert backend.measured("read") == {"run_id": "read", "status": "done"}


def test_inside_ends_with_a_document_of_panels(backend: EngineBackend) -> None:
    states = list(backend.inside({"prompt": "The quick brown fox", "panels": "steps"}, "inside"))
    assert states[-1]["document"]["panels"]


def test_health_names_the_model_that_the_engine_holds(backend: EngineBackend, tiny_folder: Path) -> None:
    assert backend.health() == {
        "ok": True, "state": "ready", "model": str(tiny_folder), "device": "cpu", "runs": 0,
    }  # fmt: skip


def test_a_refusal_reaches_the_page_and_the_next_race_runs(backend: EngineBackend) -> None:
    with pytest.raises(BadInput, match="ask for at most") as refused:
        events_of(backend.race({**FORM, "max_new_tokens": 100_000}, "too long"))
    assert refused.value.max_new_tokens
    assert isinstance(events_of(backend.race(FORM, "next"))[-1], Finished)


def test_stop_ends_a_race_with_its_verdict(backend: EngineBackend) -> None:
    finished = interrupted(backend, "stopped", lambda: backend.stop("stopped"))[-1]
    assert isinstance(finished, Finished)
    assert finished.document["lanes"][0]["finish_reason"] == "stopped"


def test_a_race_whose_reader_leaves_releases_the_device(backend: EngineBackend) -> None:
    with closing(backend.race(LONG, "left")) as batches:
        next(batches)
    start = time.monotonic()
    assert isinstance(events_of(backend.race(FORM, "after it"))[-1], Finished)
    alone = time.monotonic()
    events_of(backend.race(LONG, "whole"))
    assert alone - start < time.monotonic() - alone, "it waited for the race that was left"


def test_a_killed_engine_ends_the_race_in_one_sentence_and_restarts(backend: EngineBackend) -> None:
    def kill() -> None:
        assert backend.engine.process_id
        os.kill(backend.engine.process_id, signal.SIGKILL)

    restarts = backend.engine.restarts
    with pytest.raises(EngineLost, match="was killed .* Try again"):
        interrupted(backend, "killed", kill)
    wait_until(lambda: Observed(backend).restarts == restarts + 1)
    assert isinstance(events_of(backend.race(FORM, "the next visitor's"))[-1], Finished)
    wait_until(lambda: backend.status()["state"] == "ready")


def test_an_engine_that_stands_still_is_told_by_health_with_what_was_known_last(backend: EngineBackend) -> None:
    wait_until(lambda: backend.status()["state"] == "ready")
    known, status, listed = backend.health(), backend.status(), backend.strategies()
    assert known["ok"]
    restarts, engine = backend.engine.restarts, backend.engine.process_id
    assert engine
    os.kill(engine, signal.SIGSTOP)
    try:
        start = time.monotonic()
        wait_until(lambda: backend.health() == known | {"ok": False, "state": "silent"}, 5)
        assert (backend.status(), backend.strategies()) == (status, listed)
        assert time.monotonic() - start < 10
    finally:
        os.kill(engine, signal.SIGCONT)
    wait_until(lambda: backend.health() == known)
    assert isinstance(events_of(backend.race(FORM, "after it"))[-1], Finished)
    assert backend.engine.restarts == restarts


def test_the_engine_is_asked_for_reasons_alone_where_strategies_are_listed(
    backend: EngineBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_until(lambda: backend.status()["state"] == "ready")
    asked: list[str] = []
    for name in ("call", "call_soon"):
        call = getattr(backend.engine, name)
        asking = partial(lambda call, method, *given: asked.append(method) or call(method, *given), call)
        monkeypatch.setattr(backend.engine, name, asking)
    reasons = {row["id"]: row["reason"] for row in backend.strategies()}
    assert asked == ["reasons"]
    assert "CUDA GPU" in reasons["offloaded_cache"]
    assert reasons["dynamic_cache"] is None


def test_many_who_ask_what_the_engine_knows_make_few_questions_for_it(
    backend: EngineBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    soon = backend.engine.call_soon
    monkeypatch.setattr(
        backend.engine, "call_soon", lambda method, seconds: asked.append(method) or soon(method, seconds)
    )
    monkeypatch.setattr(backend_module, "KEPT_SECONDS", 60)
    for _ in range(5):
        for ask in (backend.status, backend.health, backend.strategies):
            ask()
    assert len(asked) == len(set(asked))


def test_what_a_page_asks_of_a_token_is_no_question_for_the_engine(
    backend: EngineBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = events_of(backend.race(FORM, "shown", Visitor("a page", keeps=True)))
    monkeypatch.setattr(backend.engine, "call", lambda *_: pytest.fail("the engine's process was asked"))
    assert not any(event.candidates for event in events if isinstance(event, TokensCommitted))
    found = [backend.candidates("shown", 0, token)["candidates"] for token in range(9)]
    assert [one is not None for one in found] == [True] * 8 + [False]
    assert backend.candidates("another's", 0, 0)["reason"].endswith(".")


def test_without_an_engine_the_page_still_has_its_forms_and_lists(tiny_folder: Path) -> None:
    idle = EngineBackend(str(tiny_folder), device="cpu")
    assert idle.status()["state"] == "loading"
    assert {row["id"] for row in idle.strategies()} > {"reencode", "dynamic_cache"}
    assert idle.default_form()["model"] == str(tiny_folder)
    assert idle.fit(FORM) is None
    assert not idle.health()["ok"]
    idle.stop("nothing runs")
    idle.forget("nobody")


PAGE = """
import sys, time
from kvdemo.server.engine_process.backend import EngineBackend
backend = EngineBackend({folder!r}, device="cpu")
backend.preload()
form = {{"prompt": "The quick brown fox", "max_new_tokens": 8, "chat": False}}
[list(batch) for batch in backend.race(form, "r")]
[state for state in backend.measure({{**form, "repeats": 2}}, "m")]
[state for state in backend.inside({{"prompt": "The fox", "panels": "steps,past"}}, "i")]
assert backend.fit(form) and backend.estimate(form) and backend.strategies()
assert not {{"torch", "transformers"}} & set(sys.modules), "the page's process needs neither"
print(backend.engine.process_id, flush=True)
time.sleep({rest})
"""


def test_the_pages_process_imports_no_torch(tiny_folder: Path) -> None:
    subprocess.run([sys.executable, "-c", PAGE.format(folder=str(tiny_folder), rest=0)], check=True)


def test_the_engine_ends_with_the_pages_process(tiny_folder: Path) -> None:
    program = [sys.executable, "-c", PAGE.format(folder=str(tiny_folder), rest=600)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as page:
        assert page.stdout is not None
        engine = int(page.stdout.readline())
        page.kill()
    wait_until(lambda: not alive(engine), patience=10)


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


PUBLIC = """
from kvdemo.server.engine_process.backend import EngineBackend
backend = EngineBackend("gpt2", device="cpu")
{first}
{then}
try:
    list(backend.race({{"prompt": "The fox", "model": {folder!r}}}, "a visitor's"))
except ValueError as refused:
    print(refused)
"""


START, DECLARE = "backend.preload(); backend.engine.call('presets')", "backend.declare_public()"


@pytest.mark.parametrize(("first", "then"), [(DECLARE, START), (START, DECLARE)])
def test_folders_are_closed_in_the_engines_process_whenever_it_starts(tiny_folder: Path, first: str, then: str) -> None:
    program = [sys.executable, "-c", PUBLIC.format(folder=str(tiny_folder), first=first, then=then)]
    told = subprocess.run(program, check=True, capture_output=True, text=True).stdout
    assert "Folders of this server cannot be opened" in told
