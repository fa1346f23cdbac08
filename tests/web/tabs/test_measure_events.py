"""What happens to a measurement on its way to the page, without a server."""

import json
import logging
from typing import Any

import pytest

from kvdemo.core.errors import BadInput, NotNow
from kvdemo.web.tabs.measure_events import (
    ACCIDENT,
    FORGOTTEN,
    UNKNOWN_EFFORT,
    Reading,
    drawn_part,
    estimate,
    idle,
    reopen,
    track,
)
from tests.web.measured import document
from tests.web.scripted_backend import MEASURE, ScriptedBackend


def run(script: ScriptedBackend) -> list[Reading]:
    return list(track(script, MEASURE, "run9"))


def test_every_state_has_the_same_keys_so_that_only_changes_are_sent() -> None:
    assert {tuple(reading.state) for reading in run(ScriptedBackend())} == {tuple(idle())}


def test_a_run_yields_its_states_and_then_its_document() -> None:
    readings = run(ScriptedBackend())
    assert [reading.state["phase"] for reading in readings] == ["running"] * 6 + ["over"]
    assert [reading.state["text"] for reading in readings][1:3] == ["Loading", "Warm-up"]
    assert readings[2].state["remaining_s"] == 90.0
    assert all(reading.state["run"] == "run9" for reading in readings)
    assert readings[-1].document is not None
    assert readings[-1].document["lanes"][0]["tokens"] == list(range(200))
    assert readings[-1].state["remaining_s"] is None


def test_only_the_drawn_part_of_a_document_is_sent() -> None:
    drawn = drawn_part(document())
    assert drawn is not None
    text = json.dumps(drawn)
    assert "model_text" not in text
    assert drawn["prompt"] == {"text": "What is KV caching?", "tokens": 6}
    assert drawn["lanes"][0]["runs"] == [8.1, 8.3, 8.0]
    assert not {"tokens", "text"} & set(drawn["lanes"][0])
    assert drawn_part(None) is None


def test_a_state_without_a_document_keeps_the_last_one() -> None:
    script = ScriptedBackend()
    script.states.append({"text": "Tidying up", "fraction": 1.0, "remaining_s": 0.0, "document": None})
    assert run(script)[-1].document is not None


def test_bad_input_is_reported_in_the_state() -> None:
    readings = run(ScriptedBackend(refuse=BadInput("The number of repeats must be a whole number.")))
    assert readings[-1].state["phase"] == "refused"
    assert readings[-1].state["error"] == "The number of repeats must be a whole number."


def test_an_unexpected_error_is_logged_and_the_measured_runs_stay(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        readings = run(ScriptedBackend(break_after=3))
    assert readings[-1].state["error"] == ACCIDENT
    assert "secret detail" in caplog.text
    assert readings[-1].document is not None
    assert readings[-1].state["document"]["lanes"][0]["runs"] == [8.1]


def test_the_error_of_a_failed_document_is_shown() -> None:
    script = ScriptedBackend()
    script.states[-1]["document"] = document(1, "failed") | {"error": "Out of memory."}
    assert run(script)[-1].state["error"] == "Out of memory."


def test_closing_the_generator_ends_the_measurement() -> None:
    script = ScriptedBackend()
    readings = track(script, MEASURE, "run9")
    next(readings), next(readings)
    assert not script.closed
    readings.close()
    assert script.closed


def collect(script: ScriptedBackend, run_id: str) -> list[Reading]:
    return [reading for reading in reopen(script, run_id) if reading]


def test_a_stored_measurement_is_shown() -> None:
    (reading,) = collect(ScriptedBackend(), "run7")
    assert (reading.state["phase"], reading.state["run"]) == ("kept", "run7")
    assert reading.document is not None


def test_a_running_measurement_is_followed_to_its_end() -> None:
    found = [document(1, "running"), document(1, "running"), document(2, "stopped")]

    class PrefixEntry(dict[str, Any]):
        def get(self, *_: Any) -> Any:
            return found.pop(0)

    readings = collect(ScriptedBackend(kept=PrefixEntry()), "run7")
    assert [reading.state["phase"] for reading in readings] == ["running", "kept"]
    assert [len(reading.state["document"]["lanes"][0]["runs"]) for reading in readings] == [1, 2]


def test_an_unknown_measurement_gets_a_sentence() -> None:
    (reading,) = collect(ScriptedBackend(), "../../etc/passwd")
    assert (reading.state["phase"], reading.state["error"], reading.document) == ("refused", FORGOTTEN, None)


@pytest.mark.parametrize(
    ("effort", "said"),
    [("About 20 s.", "About 20 s."), (BadInput("The prompt is empty."), "The prompt is empty."),
     (NotNow("It is counted later."), "It is counted later."), (RuntimeError("secret"), UNKNOWN_EFFORT)],
)  # fmt: skip
def test_the_estimate_is_a_sentence_even_when_it_fails(effort: Any, said: str) -> None:
    assert estimate(ScriptedBackend(effort=effort), MEASURE) == (said, isinstance(effort, NotNow))


@pytest.mark.parametrize(
    "run_id",
    ["x" * 4_000_000, "x" * 65, "", "../../x", "half \ud800", "a b", 2**70, [["x"]], {"a": 1}, None],
)
def test_what_can_be_no_id_is_neither_looked_for_nor_echoed(run_id: object, monkeypatch: pytest.MonkeyPatch) -> None:
    script = ScriptedBackend()
    monkeypatch.setattr(script, "measured", lambda _: pytest.fail("looked for"))
    (reading,) = reopen(script, run_id)
    assert reading is not None
    assert (reading.state["run"], reading.state["error"]) == (None, FORGOTTEN)
