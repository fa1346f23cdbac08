"""Each run has one record, whatever ended it, and one line of JSON, without a word of what a visitor wrote."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.events import Progress, TurnCame
from kvdemo.server.engine_process.client import EngineClosed, EngineLost
from kvdemo.server.observing import run_log
from kvdemo.server.observing.observed_backend import Observed
from kvdemo.server.observing.run_record import RunRecord
from kvdemo.server.service import Service
from tests.scripted import FakeClock
from tests.web.scripted_backend import committed, started

pytestmark = pytest.mark.usefixtures("quick_limits")

PRIVATE = "A sentence that only its writer may read"
FORM: dict[str, Any] = {"prompt": PRIVATE, "max_new_tokens": 4, "ignore_eos": True, "chat": False}


@pytest.fixture
def records() -> list[RunRecord]:
    return []


@pytest.fixture(scope="module")
def service(tiny_folder: Path) -> Service:
    return Service(str(tiny_folder), device="cpu")


@pytest.fixture
def scripted(records: list[RunRecord], service: Service, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have races play a script, in which a number is so many seconds and an exception is raised."""
    clock = FakeClock()

    def play(*script: Any) -> Observed:
        def race(*_: object) -> Iterator[Any]:
            for item in script:
                if isinstance(item, float):
                    clock.now += item
                elif isinstance(item, Exception):
                    raise item
                else:
                    yield item if isinstance(item, list) else [item]

        monkeypatch.setattr(service, "race", race)
        return Observed(service, records.append, clock=clock)

    return play


def only(records: list[RunRecord]) -> RunRecord:
    assert len(records) == 1
    return records[0]


def test_a_race_is_recorded_with_its_model_and_strategies(
    service: Service, records: list[RunRecord], tiny_folder: Path
) -> None:
    list(Observed(service, records.append).race(FORM | {"strategies": "no_cache,sliding_window:window=9"}, "id"))
    record = only(records)
    assert (record.kind, record.outcome, record.model) == ("race", "done", str(tiny_folder))
    assert (record.lanes, record.tokens) == (("no_cache", "sliding_window"), 8)
    assert record.seconds > 0
    assert record.run != "id"


@pytest.mark.slow
def test_a_measurement_is_recorded_with_the_tokens_of_its_runs(service: Service, records: list[RunRecord]) -> None:
    form = FORM | {"strategies": "dynamic_cache", "repeats": 2, "warmup": 1}
    list(Observed(service, records.append).measure(form, "measured"))
    record = only(records)
    assert (record.kind, record.outcome, record.lanes, record.tokens) == ("measurement", "done", ("dynamic_cache",), 8)


def test_an_inside_run_is_recorded(service: Service, records: list[RunRecord], tiny_folder: Path) -> None:
    list(Observed(service, records.append).inside({"prompt": PRIVATE, "panels": "steps"}, "seen"))
    record = only(records)
    assert (record.kind, record.outcome, record.model, record.tokens) == ("inside", "done", str(tiny_folder), None)


def test_waiting_time_is_recorded_apart_from_running_time(scripted: Any, records: list[RunRecord]) -> None:
    observed = scripted(Progress("Waiting"), 3.0, TurnCame(2.9375), 7.0, started(), committed(0, ("a", "b")))
    race = observed.race(FORM, "r")
    next(race)
    assert (observed.waiting, observed.running) == (1, 0)
    next(race)
    assert (observed.waiting, observed.running) == (0, 1)
    list(race)
    assert (observed.waiting, observed.running) == (0, 0)
    record = only(records)
    assert (record.waited_s, record.seconds, record.tokens) == (2.938, 7.062, 2)


def test_the_duration_of_a_run_in_one_batch_is_not_zero(scripted: Any, records: list[RunRecord]) -> None:
    list(scripted(0.0625, [TurnCame(0.0), started(), committed(0, ("a", "b"))]).race(FORM, "short"))
    assert only(records).seconds == 0.062


def test_download_time_is_not_counted_as_device_time(scripted: Any, records: list[RunRecord]) -> None:
    list(
        scripted(Progress("Downloading"), 30.0, TurnCame(0.0), started(), 1.0, committed(0, ("a", "b"))).race(FORM, "r")
    )
    assert only(records).seconds == 1.1


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (BadInput("no"), "refused"),
        (EngineLost("gone"), "lost"),
        (EngineClosed("ended"), "stopped"),
        (RuntimeError("a bug"), "failed"),
    ],
)
def test_an_exception_in_a_run_is_recorded_and_raised(
    scripted: Any, records: list[RunRecord], error: Exception, outcome: str
) -> None:
    observed = scripted(TurnCame(0.0), started(), error)
    with pytest.raises(type(error)):
        list(observed.race(FORM, "r"))
    assert only(records).outcome == outcome


def test_the_wait_of_a_visitor_ends_when_he_leaves_the_queue(scripted: Any, records: list[RunRecord]) -> None:
    observed = scripted(Progress("Waiting"), 4.0, Progress("Waiting still"), TurnCame(4.0))
    with closing(observed.race(FORM, "r")) as race:
        next(race)
        next(race)
    record = only(records)
    assert (record.outcome, record.waited_s, record.seconds, record.model) == ("left", 4.0, 0.0, None)


def test_a_run_stopped_in_the_queue_is_recorded_as_stopped(scripted: Any, records: list[RunRecord]) -> None:
    list(scripted(Progress("Waiting")).race(FORM, "r"))
    assert only(records).outcome == "stopped"


def test_the_log_line_of_a_run_is_json_without_prompt_text_or_ids(
    service: Service, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    run_log.open_log()
    try:
        observed = Observed(service, run_log.write)
        list(observed.race(FORM | {"strategies": "no_cache"}, "the id"))
        with pytest.raises(BadInput):
            list(observed.race(FORM | {"strategies": PRIVATE, "model": PRIVATE}, "another id"))
    finally:
        logging.getLogger("kvdemo.runs").handlers.clear()
    text = capsys.readouterr().err
    first, second = map(json.loads, text.splitlines())
    assert (first["kind"], first["outcome"], first["tokens"], first["lanes"]) == ("race", "done", 4, ["no_cache"])
    assert (second["outcome"], second["model"], second["lanes"]) == ("refused", None, [])
    for hidden in (PRIVATE, "the id", "another id"):
        assert hidden not in text
    assert not caplog.records  # they stay out of the log of the program


@pytest.mark.parametrize(
    ("value", "public", "on"),
    [("", False, False), ("", True, True), ("json", False, True), ("off", True, False)],
)
def test_a_public_server_logs_runs_unless_the_operator_turns_it_off(value: str, public: bool, on: bool) -> None:
    assert run_log.is_asked_for(value, public=public) is on


def test_an_unknown_value_of_kvdemo_log_is_refused_in_one_sentence() -> None:
    with pytest.raises(BadInput, match="KVDEMO_LOG must be json or off, not 'text'"):
        run_log.is_asked_for("text", public=True)
