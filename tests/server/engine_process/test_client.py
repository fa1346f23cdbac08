"""The engine's process where it cannot be started, and everyone who waits when it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from kvdemo.core.events import Finished
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


def test_a_waiting_race_is_told_when_the_engine_is_killed_and_the_next_runs(tiny_folder: Path) -> None:
    backend = EngineBackend(str(tiny_folder), device="cpu")
    backend.preload()
    wait_until(lambda: backend.status()["state"] == "ready")
    told: list[str] = []

    def visit(run_id: str) -> None:
        try:
            events_of(backend.race(LONG, run_id))
        except EngineLost as lost:
            told.append(str(lost))

    visitors = [threading.Thread(target=visit, args=(f"r{n}",)) for n in range(3)]
    for visitor in visitors:
        visitor.start()
    wait_until(lambda: backend.health()["runs"] == 3)
    assert backend.engine.process_id
    os.kill(backend.engine.process_id, signal.SIGKILL)
    for visitor in visitors:
        visitor.join(60)
    try:
        assert len(told) == 3
        assert all("was killed (signal 9)" in one and "starts again" in one for one in told)
        wait_until(lambda: backend.status()["state"] == "ready")
        assert isinstance(events_of(backend.race(FORM, "after"))[-1], Finished)
    finally:
        backend.close()
