"""The engine's process prepares itself: nothing that has computed lives on beside a run."""

import threading

import pytest

from kvdemo.server.engine_process import __main__ as engine_process


class Served:
    """A service that notes which thread loads the model, and in which one races still run for a while."""

    def __init__(self) -> None:
        self.loaded_by: list[threading.Thread] = []
        self.alive_beside_runs: list[bool] = []
        self.runs = [2, 1, 0]

    def preload(self) -> None:
        self.loaded_by.append(threading.current_thread())

    def health(self) -> dict[str, int]:
        self.alive_beside_runs.append(self.loaded_by[0].is_alive())
        return {"runs": self.runs.pop(0)}


def test_the_thread_that_loads_the_model_ends_before_races_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    service, started = Served(), []
    monkeypatch.setattr(engine_process.time, "sleep", lambda _: None)
    monkeypatch.setattr(engine_process.planning.PLANNER, "start", lambda: started.append(list(service.runs)))
    engine_process.prepare(service)  # type: ignore[arg-type] - what it asks of a service is here
    assert service.alive_beside_runs == [False, False, False]
    assert started == [[]]
