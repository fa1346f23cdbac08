import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kvdemo import samplers
from kvdemo.core.errors import BadInput, Discarded, NotNow
from kvdemo.core.events import Ended, Finished, Progress, RaceEvent, TokensCommitted, TurnCame
from kvdemo.core.visitor import Visitor
from kvdemo.measure import store
from kvdemo.models.sources import find
from kvdemo.server.device import DeviceLease
from kvdemo.server.questions.crowding import MOST_A_SECOND
from kvdemo.server.service import Service

pytestmark = pytest.mark.usefixtures("quick_limits")


@pytest.fixture(scope="module")
def engine(tiny_folder: Path) -> Service:
    made = Service(str(tiny_folder), device="cpu")
    made.preload()
    return made


FORM: dict[str, Any] = {"prompt": "The quick brown fox", "max_new_tokens": 8, "ignore_eos": True}


def events_of(batches: Iterator[list[RaceEvent]]) -> list[RaceEvent]:
    return [event for batch in batches for event in batch]


def test_preloading_loads_the_model_and_reports_it(engine: Service, tiny_folder: Path) -> None:
    status = engine.status()
    assert status["state"] == "ready"
    assert status["model"]["id"] == str(tiny_folder)
    assert status["model"]["source"]["kind"] == "folder"


def test_a_failed_model_load_is_reported_and_the_next_request_works(tiny_folder: Path, tmp_path: Path) -> None:
    engine = Service(str(tmp_path), device="cpu")
    engine.preload()
    assert engine.status()["state"] == "failed"
    assert engine.status()["text"]
    assert isinstance(events_of(engine.race({**FORM, "model": str(tiny_folder)}, "r"))[-1], Finished)
    assert engine.status()["state"] == "ready"


def test_an_unexpected_error_while_loading_is_reported_in_the_status(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kvdemo.models import loading  # noqa: PLC0415

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(loading, "read", broken)
    engine = Service(str(tiny_folder), device="cpu")
    engine.preload()
    assert engine.status()["state"] == "failed"
    assert "could not be loaded" in engine.status()["text"]


@pytest.mark.slow
def test_a_race_started_while_the_model_loads_waits_for_it(tiny_folder: Path) -> None:
    code = f"""
import threading
from kvdemo.core.events import Finished
from kvdemo.core.visitor import Visitor
from kvdemo.server.service import Service
engine = Service({str(tiny_folder)!r}, device="cpu")
threading.Thread(target=engine.preload).start()
events = [e for batch in engine.race({{"prompt": "fox", "max_new_tokens": 4}}, "early") for e in batch]
assert isinstance(events[-1], Finished), events
"""
    subprocess.run([sys.executable, "-c", code], check=True)  # a fresh process: both threads import transformers


def test_candidates_of_a_token_are_available_as_soon_as_it_is_yielded(engine: Service) -> None:
    tokens = 0
    for batch in engine.race(FORM, "shown", Visitor("a page", keeps=True)):
        for event in batch:
            if isinstance(event, TokensCommitted) and event.lane == 1:
                found = engine.candidates("shown", 1, tokens)["candidates"]
                assert found["likeliest"][found["chosen"]]["token"] == event.timed.step.tokens[0]
                tokens += 1
    assert tokens == FORM["max_new_tokens"]
    assert engine.candidates("shown", 1, tokens)["candidates"] is None
    assert engine.candidates("shown", 1, tokens)["reason"].endswith(".")


def test_candidates_are_not_kept_for_requests_without_a_page(engine: Service) -> None:
    events = events_of(engine.race(FORM, "a program's"))
    assert all(not event.candidates for event in events if isinstance(event, TokensCommitted))
    assert engine.candidates("a program's", 0, 0)["candidates"] is None


def test_a_race_comes_in_batches_that_end_with_the_document(engine: Service) -> None:
    events = events_of(engine.race(FORM, "run-1"))
    assert isinstance(events[-1], Finished)
    assert sum(isinstance(e, TokensCommitted) for e in events) == 16


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"prompt": " "}, "prompt is empty"),
        ({"max_new_tokens": "x"}, "token count"),
        ({"strategies": ["turbo"]}, "no strategy 'turbo'"),
        ({"max_new_tokens": 5000}, "at most"),
        ({"model": "/no/such/folder"}, "folder"),
    ],
)
def test_bad_input_is_a_sentence_and_the_next_race_works(
    engine: Service, tiny_folder: Path, wrong: dict[str, Any], says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        events_of(engine.race(FORM | {"model": str(tiny_folder)} | wrong, "bad"))
    assert isinstance(events_of(engine.race(FORM, "good"))[-1], Finished)


def test_stop_ends_a_race_with_its_verdict(engine: Service) -> None:
    events = []
    for batch in engine.race(FORM | {"max_new_tokens": 450}, "stop-me"):
        events += batch
        if any(isinstance(e, TokensCommitted) for e in batch):
            engine.stop("stop-me")
    assert {e.reason for e in events if isinstance(e, Ended)} == {"stopped"}
    assert isinstance(events[-1], Finished)
    assert isinstance(events_of(engine.race(FORM, "stop-me"))[-1], Finished)  # the flag is gone with its race


def test_a_second_race_waits_for_the_first_and_says_so(engine: Service) -> None:
    first = engine.race(FORM | {"max_new_tokens": 400}, "first")
    next(first)
    second: list[RaceEvent] = []
    waiting = threading.Thread(target=lambda: second.extend(events_of(engine.race(FORM, "second"))))
    waiting.start()
    time.sleep(0.3)
    engine.stop("first")
    events_of(first)
    waiting.join(30)
    assert isinstance(second[0], Progress) and "Waiting" in second[0].text
    assert isinstance(second[-1], Finished)


def test_an_abandoned_race_releases_the_device(engine: Service) -> None:
    left = engine.race(FORM | {"max_new_tokens": 450}, "left")
    next(left)
    left.close()  # type: ignore[attr-defined]
    assert isinstance(events_of(engine.race(FORM, "next"))[-1], Finished)


def test_fit_counts_the_prompt_with_its_template(engine: Service, tiny_folder: Path) -> None:
    base = engine.fit({"prompt": "fox", "chat": False, "model": str(tiny_folder)})
    chat = engine.fit({"prompt": "fox", "chat": True, "model": str(tiny_folder)})
    assert base is not None and chat is not None
    assert base["prompt_tokens"] < chat["prompt_tokens"]
    assert base["max_new_tokens"] == base["context_length"] - base["prompt_tokens"]
    assert engine.fit({"prompt": "", "model": str(tiny_folder)}) is None
    assert engine.fit({"prompt": "fox", "model": "gpt2"}) is None
    assert engine.fit({"prompt": "fox", "model": ["no", "text"]}) is None


def test_beside_a_run_a_long_prompt_is_put_off_and_a_short_one_is_counted(engine: Service, tiny_folder: Path) -> None:
    short, long = ({"prompt": prompt, "model": str(tiny_folder), "chat": False} for prompt in ("fox", "fox " * 1000))
    hog, other = Visitor(address="192.0.2.1"), Visitor(address="192.0.2.2")
    assert engine.fit(short) and engine.fit(long) and engine.fit(short)
    with closing(engine.race(FORM, "beside")) as batches:
        next(batches)
        pace = engine._forecasts._pace
        pace._rested_at = float("-inf")
        with pace.taken("192.0.2.1", waits=False) as came:  # somebody's long prompt is being counted
            assert came
            for asked in (engine.fit, lambda form, who: engine.estimate(MEASURE | form, who)):
                with pytest.raises(NotNow, match="follows by itself"):
                    asked(long, hog)
                with pytest.raises(NotNow, match="follows by itself"):
                    asked(long, other)
                assert asked(short, other)
        pace._rested_at = float("-inf")
        with pytest.raises(NotNow):
            engine.fit(long, hog)  # the other one's turn
        assert engine.fit(long, other)
    assert engine.fit(long, hog)


@pytest.mark.parametrize("text", ["\u0e01\u0301" * 500, "\U0001f600" * 501, "a" * 2001])
def test_beside_a_run_a_prompt_of_few_characters_and_many_bytes_is_put_off_like_a_long_one(
    engine: Service, tiny_folder: Path, text: str
) -> None:
    asked = {"prompt": text, "model": str(tiny_folder), "chat": False}
    with closing(engine.race(FORM, f"bytes{len(text)}")) as batches:
        next(batches)
        pace = engine._forecasts._pace
        pace._rested_at = float("inf")
        try:
            with pytest.raises(NotNow):
                engine.fit(asked)
            assert engine.fit(asked | {"prompt": text[:500]})
        finally:
            pace._rested_at = float("-inf")


def test_fit_and_estimate_report_a_prompt_that_the_loaded_model_cannot_take(
    engine: Service, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page shows it under the prompt: before, it said that the limit is known once the model is loaded."""
    assert engine.held is not None
    monkeypatch.setattr(engine.held.tokenizer, "chat_template", "{{ raise_exception('System first') }}")
    form = {"prompt": "fox", "chat": True, "model": str(tiny_folder)}
    with pytest.raises(BadInput, match=r"cannot be applied \(System first\): switch it off"):
        engine.fit(form)
    assert "System first" in engine.estimate(form)
    assert engine.fit(form | {"chat": False})


@pytest.mark.slow
def test_many_questions_during_a_measurement_are_noted_in_its_document_and_few_are_not(engine: Service) -> None:
    def notes(run_id: str, questions: int) -> list[str]:
        states = engine.measure(MEASURE, run_id)
        next(state for state in states if state["document"])
        for _ in range(questions):
            engine.note_question()
        return [note for note in list(states)[-1]["document"]["notes"] if "was asked" in note]

    assert notes("m13", 5) == []
    time.sleep(1)
    assert len(many := notes("m14", 5 * MOST_A_SECOND)) == 1
    assert "some steps may have waited" in many[0]


def test_a_few_questions_that_take_long_during_a_measurement_are_noted_in_its_document(engine: Service) -> None:
    def notes(run_id: str, read_seconds: float) -> list[str]:
        states = engine.measure(MEASURE, run_id)
        next(state for state in states if state["document"])
        with engine.answering(read_seconds):
            pass
        return [note for note in list(states)[-1]["document"]["notes"] if "computing time" in note]

    assert notes("m15", 0.0) == []
    assert len(slow := notes("m16", 5.3)) == 1
    assert slow[0].startswith("Questions to the server took 5.3 s of its computing time beyond 2% of each second")


def test_a_service_for_one_model_refuses_another(tiny_folder: Path) -> None:
    engine = Service(str(tiny_folder), device="cpu", only_default=True)
    engine.preload()
    with pytest.raises(BadInput, match="runs .* only"):
        events_of(engine.race(FORM | {"model": "gpt2"}, "r"))
    with pytest.raises(BadInput, match="at most"):
        engine.race(FORM | {"max_new_tokens": 5000}, "r")  # before it is handed to a GPU process


def test_the_gpu_decorator_wraps_the_generator_that_decodes(tiny_folder: Path) -> None:
    called = []

    def on_gpu(batches_of):
        def wrapped(request, run_id, asked):
            called.append(run_id)
            yield from batches_of(request, run_id, asked)

        return wrapped

    engine = Service(str(tiny_folder), device="cpu", on_gpu=on_gpu)
    assert isinstance(events_of(engine.race(FORM, "r9"))[-1], Finished)
    assert called == ["r9"]


def test_strategies_and_models_are_listed(engine: Service) -> None:
    listed = {row["id"]: row for row in engine.strategies()}
    assert listed["dynamic_cache"]["available"] is True
    assert "prefill" in listed["dynamic_cache"]["description"]
    assert any(row["id"] == "gpt2" for row in engine.models())


def test_samplers_are_listed_as_they_are_applied_and_name_every_setting_that_a_lane_takes(engine: Service) -> None:
    listed = engine.samplers()
    assert [row["id"] for row in listed] == [*samplers.introductions(), "seed"]
    named = {name: option for row in listed for name, option in row["options"].items()}
    assert named.keys() == samplers.options().keys()
    assert (named["min_p"]["low"], named["min_p"]["high"], named["min_p"]["default"]) == (0, 1, 0.0)
    for about in (option["about"] for option in named.values()):
        assert about.endswith(".") and about[0] == about[0].upper()
    assert all(row["summary"] and row["description"] for row in listed)


MEASURE: dict[str, Any] = {"prompt": "The fox", "max_new_tokens": 6, "repeats": 2, "chat": False}


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KVDEMO_CACHE_DIR", str(tmp_path))


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_a_measurement_yields_states_and_is_stored(engine: Service) -> None:
    states = list(engine.measure(MEASURE, "m1"))
    document = states[-1]["document"]
    assert document["status"] == "done"
    assert [len(lane["runs"]) for lane in document["lanes"]] == [2, 2]
    assert engine.measured("m1") == document
    assert engine.measured("m2") is None


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_a_stopped_measurement_keeps_its_finished_runs(engine: Service) -> None:
    states = engine.measure(MEASURE | {"max_new_tokens": 300, "repeats": 100}, "m3")
    for state in states:
        if state["document"] and len(state["document"]["lanes"][1]["runs"]) >= 1:
            engine.stop("m3")
    assert state["document"]["status"] == "stopped"
    assert 1 <= len(state["document"]["lanes"][1]["runs"]) < 100
    assert engine.measured("m3") == state["document"]


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_an_abandoned_measurement_is_stored_with_its_finished_runs(engine: Service) -> None:
    states = engine.measure(MEASURE | {"max_new_tokens": 300, "repeats": 100}, "m4")
    for state in states:
        if state["document"] and state["document"]["lanes"][0]["runs"]:
            break
    states.close()  # type: ignore[attr-defined]
    assert events_of(engine.race(FORM, "next"))  # waits for the device, which is free within a step
    found = engine.measured("m4")
    assert found is not None
    assert found["status"] == "stopped"
    assert len(found["lanes"][0]["runs"]) >= 1


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_the_classic_preset_falls_back_to_the_default_model_with_a_note(
    engine: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kvdemo.models.sources.hub import hub  # noqa: PLC0415

    def unreachable(*_: object, **__: object) -> None:
        raise BadInput("The Hugging Face Hub cannot be reached.")

    monkeypatch.setattr(hub, "fetch", unreachable)
    classic = next(preset["form"] for preset in engine.presets() if preset["id"] == "classic")
    assert (classic["model"], classic["max_new_tokens"], classic["repeats"]) == ("openai-community/gpt2", 1000, 10)
    short = MEASURE | {"model": classic["model"]}
    document = list(engine.measure(short | {"preset": "classic"}, "m5"))[-1]["document"]
    assert document["model"]["id"] == engine.default_model
    assert "openai-community/gpt2 could not be had" in document["notes"][0]
    with pytest.raises(BadInput, match="cannot be reached"):
        list(engine.measure(short, "m6"))


def test_invalid_measurements_and_plans_are_refused_in_one_sentence(engine: Service) -> None:
    with pytest.raises(BadInput, match="number of repeats"):
        engine.measure(MEASURE | {"repeats": 0}, "m7")
    with pytest.raises(BadInput, match="There is no strategy 'turbo'"):
        engine.measure(MEASURE | {"strategies": "turbo"}, "m8")
    with pytest.raises(BadInput, match="memory in GB is missing"):
        engine.plan({"model": "gpt2"})


def test_a_plan_loads_no_weights(engine: Service) -> None:
    plan = engine.plan({"model": "gpt2", "memory_gb": 16, "bandwidth_gb_s": 320, "dtype": "float16"})
    assert plan["cache"]["bytes_per_token"] == 36_864


def test_the_estimate_knows_the_time_once_the_model_is_loaded(tiny_folder: Path) -> None:
    engine = Service(str(tiny_folder), device="cpu")
    assert "is known a few seconds after the start" in engine.estimate(MEASURE)
    engine.preload()
    assert "Predicted from the steps run so far: about" in engine.estimate(MEASURE)
    assert "is known a few seconds after the start" in engine.estimate(MEASURE | {"model": "gpt2"})
    assert engine.estimate(MEASURE | {"repeats": 0}).startswith("The number of repeats")


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("run", ["race", "measure"])
def test_the_estimate_knows_the_time_after_a_run(tiny_folder: Path, run: str) -> None:
    engine = Service(str(tiny_folder), device="cpu")  # nothing is loaded ahead
    assert "is known a few seconds after the start" in engine.estimate(MEASURE)
    form = FORM if run == "race" else MEASURE
    list(getattr(engine, run)(form | {"strategies": "no_cache,dynamic_cache"}, "teach"))
    assert "Predicted from the steps run so far: about" in engine.estimate(MEASURE)


@pytest.mark.usefixtures("own_cache")
def test_a_measurement_that_fails_is_stored_as_failed(engine: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    from kvdemo.measure import measurement  # noqa: PLC0415

    really, taken = measurement.take, []

    def broken(*given: Any) -> Any:
        taken.append(given)
        if len(taken) == 5:  # two to warm up, and two repeats
            raise RuntimeError("broken on purpose")
        return really(*given)

    monkeypatch.setattr(measurement, "take", broken)
    with pytest.raises(RuntimeError, match="broken on purpose"):
        list(engine.measure(MEASURE, "m9"))
    found = engine.measured("m9")
    assert found is not None
    assert [len(lane["runs"]) for lane in found["lanes"]] == [1, 1]
    assert (found["status"], found["error"]) == ("failed", "It broke off: the server's log says why.")


def test_discarded_files_are_fetched_again_without_holding_the_device(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Service(str(tiny_folder), device="cpu")
    really, events = DeviceLease.load, []

    def load(device: DeviceLease, *how: Any) -> Any:
        events.append("loaded")
        if len(events) == 1:
            raise Discarded("Damaged on purpose.")
        return really(device, *how)

    monkeypatch.setattr(DeviceLease, "load", load)
    came = events_of(engine.race(FORM, "again"))
    assert isinstance(came[-1], Finished)
    assert [isinstance(event, TurnCame) for event in came].count(True) == 2


@pytest.mark.parametrize("only_default", [False, True])
def test_nothing_is_downloaded_while_a_run_has_the_device(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, only_default: bool
) -> None:
    """Neither the model, which is looked for on the Hub first, nor what its lanes need beside it."""
    asked: list[bool | None] = []
    really = find.find

    def found(*names: Any, download: bool | None = None, **more: Any) -> Any:
        asked.append(download)
        return really(*names, download=download, **more)

    monkeypatch.setattr(find, "find", found)
    only = Service(str(tiny_folder), device="cpu", only_default=only_default)
    only.preload()
    assert asked == [False]
    assert only.held
    assert not only.held.downloads


@pytest.mark.usefixtures("own_cache")
def test_a_measurement_interrupted_by_a_restart_is_read_as_stopped(engine: Service) -> None:
    store.save({"run_id": "m10", "status": "running"})
    assert engine.measured("m10") == {"run_id": "m10", "status": "stopped"}


def test_a_measurement_that_would_hold_the_device_for_hours_is_refused(engine: Service) -> None:
    with pytest.raises(BadInput, match="200,000 tokens to decode, and a page allows 100,000"):
        engine.measure(MEASURE | {"max_new_tokens": 1000, "repeats": 99}, "m11")


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_plans_computed_during_a_measurement_are_noted_in_its_document(engine: Service) -> None:
    states = engine.measure(MEASURE, "m12")
    next(state for state in states if state["document"])  # it has begun: plans before that disturb nothing
    engine.plan({"model": "gpt2", "memory_gb": 16, "bandwidth_gb_s": 320})
    document = list(states)[-1]["document"]
    assert "The server worked out 1 plan meanwhile: some steps may have waited." in document["notes"]


def test_a_service_for_one_model_refuses_another_before_anything_runs(tiny_folder: Path) -> None:
    only = Service(str(tiny_folder), device="cpu", only_default=True)
    only.preload()
    with pytest.raises(BadInput, match="only: choose that model"):
        only.race(FORM | {"model": "gpt2"}, "r")
    with pytest.raises(BadInput, match="only: choose that model"):
        only.measure(MEASURE | {"model": "gpt2"}, "m")


def test_health_names_the_model_and_counts_the_runs(engine: Service) -> None:
    assert isinstance(events_of(engine.race(FORM, "before"))[-1], Finished)
    healthy = engine.health()
    assert (healthy["ok"], healthy["state"], healthy["device"], healthy["runs"]) == (True, "ready", "cpu", 0)
    running = engine.race(FORM, "one")
    next(running)
    assert engine.health()["runs"] == 1
    running.close()  # type: ignore[attr-defined]
