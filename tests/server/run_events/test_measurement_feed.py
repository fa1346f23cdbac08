"""What a page hears of a measurement, and when the measurement goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kvdemo.measure import store
from kvdemo.measure.state import State
from kvdemo.server.run_events.measurement_feed import DRAWING_SECONDS, SENDING_SECONDS, MeasurementFeed


class Reader:
    """Stands for the page's end: what it was handed, and how long the measurement stood still for it."""

    def __init__(self) -> None:
        self.got: list[tuple[State, float]] = []

    def send_and_wait(self, state: State, settle: float) -> None:
        self.got.append((state, settle))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(store, "folder", lambda: tmp_path)
    return tmp_path


@pytest.fixture
def reader() -> Reader:
    return Reader()


def at(*seconds: float) -> Callable[[], float]:
    """A clock that is read at these times; a state that is handed over reads it twice."""
    times = iter(seconds)
    return lambda: next(times)


def state(text: str, runs: int | None = None, status: str = "running") -> State:
    if runs is None:
        return State(text)
    return State(text, document={"run_id": "m1", "status": status, "lanes": [{"runs": [1.0] * runs}]})


def test_the_browser_gets_longer_to_draw_a_document_than_a_status_text(reader: Reader) -> None:
    relay = MeasurementFeed(reader, at(0, 0, 5, 5))  # type: ignore[arg-type]
    relay(state("Repeat 1", 0))
    relay(state("Repeat 1"))
    assert [settle for _, settle in reader.got] == [DRAWING_SECONDS, SENDING_SECONDS]


def test_states_of_short_runs_are_sent_once_a_second_with_the_newest_document(reader: Reader) -> None:
    relay = MeasurementFeed(reader, at(0, 0, 0.2, 0.4, 1.1, 1.1))  # type: ignore[arg-type]
    for n in range(3):
        relay(state(f"Repeat {n}", n))
    relay(state("Repeat 3"))
    assert [told.text for told, _ in reader.got] == ["Repeat 0", "Repeat 3"]
    assert reader.got[-1][0].document == {"run_id": "m1", "status": "running", "lanes": [{"runs": [1.0, 1.0]}]}


def test_the_last_state_is_always_sent_without_waiting_for_its_drawing(reader: Reader) -> None:
    relay = MeasurementFeed(reader, at(0, 0, 0.1, 0.1))  # type: ignore[arg-type]
    relay(state("Repeat 1", 0))
    relay(state("Done", 1, "done"))
    assert [(told.text, settle) for told, settle in reader.got][1] == ("Done", SENDING_SECONDS)


def test_each_document_is_stored_even_if_it_is_not_sent(reader: Reader, folder: Path) -> None:
    relay = MeasurementFeed(reader, at(0, 0, 0.1))  # type: ignore[arg-type]
    relay(state("Repeat 1", 0))
    relay(state("Repeat 2", 1))
    assert len(reader.got) == 1
    assert json.loads((folder / "m1.json").read_text("utf-8"))["lanes"][0]["runs"] == [1.0]


def test_a_failed_measurement_is_stored_with_its_finished_runs(reader: Reader, folder: Path) -> None:
    relay = MeasurementFeed(reader, at(0, 0))  # type: ignore[arg-type]
    relay(state("Repeat 1", 2))
    relay.broke_off()
    found = json.loads((folder / "m1.json").read_text("utf-8"))
    assert (found["status"], found["lanes"][0]["runs"]) == ("failed", [1.0, 1.0])
    assert found["error"]


@pytest.mark.parametrize("ended", ["stopped", "failed"])
def test_a_measurement_that_ends_before_its_first_run_stores_nothing(reader: Reader, folder: Path, ended: str) -> None:
    """Whoever begins and leaves two hundred would end the links of all others."""
    relay = MeasurementFeed(reader, at(0, 0, 5, 5))  # type: ignore[arg-type]
    relay(state("Measuring the device", 0))
    if ended == "stopped":
        relay(state("Stopped", 0, "stopped"))
    else:
        relay.broke_off()
    assert not list(folder.iterdir())


def test_a_measurement_that_fails_before_its_first_state_stores_nothing(reader: Reader, folder: Path) -> None:
    MeasurementFeed(reader).broke_off()  # type: ignore[arg-type]
    assert not list(folder.iterdir())
