"""The engine's process where it cannot be started, and those who run and who wait when it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from kvdemo.core.events import Finished, Progress, RaceEvent, TokensCommitted, TurnCame
from kvdemo.models.facts import architecture
from kvdemo.server.engine_process import client
from kvdemo.server.engine_process.backend import EngineBackend
from kvdemo.server.engine_process.client import EngineLost
from tests.server.engine_process.test_backend import FORM, LONG, events_of, wait_until

pytestmark = pytest.mark.slow


def test_a_process_that_fails_to_start_is_started_again(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really, tries = subprocess.Popen, []

    def start(*how: Any, **more: Any) -> Any:
        tries.append(how)
        if len(tries) == 1:
            raise BlockingIOError("Resource temporarily unavailable")
        return really(*how, **more)

    monkeypatch.setattr(client.subprocess, "Popen", start)
    backend = EngineBackend(str(tiny_folder), device="cpu")
    backend.preload()
    try:
        assert isinstance(events_of(backend.race(FORM, "r"))[-1], Finished)
    finally:
        backend.close()
    assert len(tries) >= 2


def test_what_works_out_plans_is_started_before_the_first_plan_and_ends_with_the_engine(tiny_folder: Path) -> None:
    def planners(of: int | None) -> list[psutil.Process]:
        children = psutil.Process(of).children(recursive=True) if of else []
        return [child for child in children if architecture.__name__ in child.cmdline()]  # what it imports ahead

    backend = EngineBackend(str(tiny_folder), device="cpu")
    backend.preload()
    try:
        wait_until(lambda: backend.status()["state"] == "ready")
        wait_until(lambda: len(planners(backend.engine.process_id)) == 1)
        (planner,) = planners(backend.engine.process_id)
    finally:
        backend.close()
    wait_until(lambda: not planner.is_running() or planner.status() == psutil.STATUS_ZOMBIE)


class Listener(threading.Thread):
    """Listens to a race to its end; `lost` is what it is told if that is lost."""

    def __init__(self, backend: EngineBackend, form: dict[str, Any], run_id: str) -> None:
        super().__init__(daemon=True)
        self.backend, self.form, self.run_id = backend, form, run_id
        self.events: list[RaceEvent] = []
        self.lost = ""

    def run(self) -> None:
        try:
            for batch in self.backend.race(self.form, self.run_id):
                self.events += batch
        except EngineLost as lost:
            self.lost = str(lost)

    def told(self, kind: type) -> bool:
        return any(isinstance(event, kind) for event in self.events)


@pytest.fixture
def starts() -> threading.Event:
    """Set while the engine's process may be started."""
    event = threading.Event()
    event.set()
    return event


@pytest.fixture
def backend(tiny_folder: Path, starts: threading.Event, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineBackend]:
    really = subprocess.Popen

    def start(*how: Any, **more: Any) -> Any:
        assert starts.wait(60)
        return really(*how, **more)

    monkeypatch.setattr(client.subprocess, "Popen", start)
    made = EngineBackend(str(tiny_folder), device="cpu")
    made.preload()
    wait_until(lambda: made.status()["state"] == "ready")
    yield made
    starts.set()
    made.close()


def test_a_run_that_a_closed_server_ends_is_not_called_lost(backend: EngineBackend) -> None:
    running = Listener(backend, LONG, "running")
    running.start()
    wait_until(lambda: running.told(TokensCommitted))
    backend.close()
    running.join(60)
    assert running.told(Finished) or "The server was ended" in running.lost


def test_a_killed_engine_costs_the_race_that_ran_and_none_that_waited(
    backend: EngineBackend, starts: threading.Event
) -> None:
    running = Listener(backend, LONG, "running")
    running.start()
    wait_until(lambda: running.told(TokensCommitted))
    waiting = [Listener(backend, FORM, f"waiting {n}") for n in range(3)]
    for listener in waiting:
        listener.start()
    wait_until(lambda: all(listener.told(Progress) for listener in waiting))
    others = [
        backend.measure({**FORM, "strategies": "no_cache", "repeats": 1, "warmup": 0, "sweep_prompt": []}, "measures"),
        backend.inside({"prompt": "The fox", "panels": "steps"}, "looks"),
    ]
    assert all(next(states)["waited_s"] is None for states in others)
    starts.clear()
    assert backend.engine.process_id
    os.kill(backend.engine.process_id, signal.SIGKILL)
    running.join(60)
    assert "was killed (signal 9)" in running.lost and "starts again" in running.lost
    backend.stop(waiting[0].run_id)  # there is no engine that could be told
    starts.set()
    for listener in waiting:
        listener.join(60)
        assert not listener.is_alive() and not listener.lost
    assert [listener.told(TurnCame) for listener in waiting] == [False, True, True]
    assert [listener.told(Finished) for listener in waiting] == [False, True, True]
    assert all([*states][-1]["document"]["status"] == "done" for states in others)
