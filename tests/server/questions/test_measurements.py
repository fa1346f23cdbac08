"""Which documents of measurements a page gets, and how many an address may have kept."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from kvdemo.core.visitor import Visitor
from kvdemo.measure import store
from kvdemo.server.questions import measurements as module
from kvdemo.server.questions.measurements import Measurements


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(store, "folder", lambda: tmp_path)
    return tmp_path


@pytest.fixture
def measurements() -> Measurements:
    return Measurements(lambda: False)


def document(run_id: str, runs: int, status: str = "running") -> dict[str, Any]:
    return {"run_id": run_id, "status": status, "lanes": [{"runs": [1.0] * runs}]}


def states(*documents: dict[str, Any] | None) -> Generator[dict[str, Any], None, None]:
    yield from ({"document": one} for one in documents)


def measured(measurements: Measurements, run_id: str, address: str) -> None:
    """Measure to the end, as the engine's process stores it."""
    done = document(run_id, 1, "done")
    store.save(done)
    list(measurements.followed(states(done), run_id, Visitor(address=address)))


def test_a_measurement_under_way_is_found_before_its_first_run_is_over(measurements: Measurements) -> None:
    running = measurements.followed(states(None, document("m", 0), None), "m")
    seen = []
    for _ in running:
        seen.append(measurements.find("m"))
    assert seen == [None, document("m", 0), document("m", 0)]
    assert measurements.find("m") is None


def test_a_measurement_that_is_left_is_found_as_stopped(measurements: Measurements) -> None:
    running = measurements.followed(states(document("m", 1), document("m", 2)), "m")
    next(running)
    store.save(document("m", 1))
    assert measurements.find("m") == document("m", 1)
    running.close()
    assert measurements.find("m") == document("m", 1, "stopped")


def test_leaving_a_measurement_ends_what_it_follows(measurements: Measurements) -> None:
    ended = []

    def told() -> Generator[dict[str, Any], None, None]:
        try:
            yield {"document": None}
        finally:
            ended.append(True)

    running = measurements.followed(told(), "m")
    next(running)
    running.close()
    assert ended == [True]


def test_an_address_has_a_share_of_what_is_kept_and_loses_its_own_oldest(
    measurements: Measurements, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_OF_ADDRESS", 2)
    measured(measurements, "another", "203.0.113.1")
    for n in range(4):
        measured(measurements, f"own{n}", f"2001:db8:0:{n}::1")  # of one network, so one visitor's
    kept = [name for name in ("another", "own0", "own1", "own2", "own3") if measurements.find(name)]
    assert kept == ["another", "own2", "own3"]


def test_whoever_has_no_address_loses_nothing(measurements: Measurements, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OF_ADDRESS", 1)
    for n in range(3):
        measured(measurements, f"own{n}", "")
    assert all(measurements.find(f"own{n}") for n in range(3))


def test_a_measurement_without_a_run_takes_nothing_of_a_share(
    measurements: Measurements, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_OF_ADDRESS", 1)
    measured(measurements, "own", "203.0.113.1")
    list(measurements.followed(states(document("left", 0, "stopped")), "left", Visitor(address="203.0.113.1")))
    assert measurements.find("own")


def test_whose_documents_are_is_remembered_of_as_many_as_are_kept(
    measurements: Measurements, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST", 3)
    for n in range(9):
        measured(measurements, f"m{n}", f"203.0.113.{n}")
    assert list(measurements._kept) == ["m7", "m8"]  # there is room for the next one


def test_addresses_with_many_measurements_end_none_of_whoever_has_few(
    measurements: Measurements, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST", 8)
    monkeypatch.setattr(module, "MOST_OF_ADDRESS", 4)
    measured(measurements, "few", "203.0.113.9")
    for n in range(30):
        measured(measurements, f"many{n}", f"203.0.113.{n % 3}")
    assert measurements.find("few")
    assert sum(1 for _ in store.folder().iterdir()) == 7
