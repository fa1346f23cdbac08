"""What is asked of processes that end, or answer what cannot be read. They are scripted, and real processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from kvdemo.server.engine_process import client
from kvdemo.server.engine_process.client import MOST_IN_VAIN, Engine, EngineLost

SCRIPTED = """
import os, sys
from multiprocessing.connection import Connection
from kvdemo.server.engine_process.serve import answer_all

class Unreadable:
    def __reduce__(self):
        return eval, ("[].more_than_fits",)

class Service:
    def add(self, a, b):
        return a + b

    def die(self):
        os._exit(9)

    def unreadable(self):
        return Unreadable()

    def run(self, *says):
        for said in says:
            if said == "die":
                os._exit(9)
            yield said

with Connection(int(sys.argv[1])) as connection:
    connection.recv()
    answer_all(connection, Service())
"""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    really = subprocess.Popen

    def start(command: list[str], **how: Any) -> Any:
        return really([sys.executable, "-c", SCRIPTED, command[-1]], **how)

    monkeypatch.setattr(client.subprocess, "Popen", start)
    monkeypatch.setattr(client, "SOON_SECONDS", 0)  # no pause
    made = Engine({})
    made.start()
    yield made
    made.close()


def drawn(engine: Engine, *says: str, heard: list[str], stopped: bool = False) -> None:
    for said in engine.drawn("run", *says, begun=lambda said: said == "begins", stopped=lambda: stopped):
        heard.append(said)


def test_a_run_that_has_begun_is_lost_with_its_process(engine: Engine) -> None:
    heard: list[str] = []
    with pytest.raises(EngineLost, match="this run is lost"):
        drawn(engine, "waits", "begins", "goes on", "die", heard=heard)
    assert heard == ["waits", "begins", "goes on"]
    assert engine.call("add", 1, 1) == 2


def test_a_run_that_waits_is_not_asked_for_without_end_where_each_process_ends_on_it(engine: Engine) -> None:
    heard: list[str] = []
    with pytest.raises(EngineLost, match="this run is lost"):
        drawn(engine, "waits", "die", heard=heard)
    assert heard == ["waits"] * MOST_IN_VAIN


def test_a_run_that_begins_lets_those_that_wait_be_asked_for_again(engine: Engine) -> None:
    for _ in range(MOST_IN_VAIN):
        with pytest.raises(EngineLost):
            engine.call("die")
    drawn(engine, "begins", heard=[])
    heard: list[str] = []
    with pytest.raises(EngineLost):
        drawn(engine, "waits", "die", heard=heard)
    assert len(heard) == MOST_IN_VAIN


def test_a_run_that_waits_when_the_server_ends_is_not_asked_for_again(engine: Engine) -> None:
    run = engine.drawn("run", "waits", "waits", begun=lambda _: False, stopped=lambda: False)
    next(run)
    engine.close()
    with pytest.raises(EngineLost):
        list(run)


def test_a_run_that_was_stopped_before_it_is_asked_for_is_not_asked_for(engine: Engine) -> None:
    heard: list[str] = []
    drawn(engine, "waits", heard=heard, stopped=True)
    assert heard == []


def test_an_answer_that_cannot_be_read_is_told_and_the_next_call_works(engine: Engine) -> None:
    with pytest.raises(EngineLost, match="process ended: .* Try again"):
        engine.call("unreadable")
    assert engine.call("add", 1, 1) == 2


def test_a_process_that_cannot_be_started_for_any_reason_is_started_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine.call("add", 1, 1) == 2
    start, tries = client.subprocess.Popen, []

    def fail_once(*how: Any, **more: Any) -> Any:
        tries.append(how)
        if len(tries) == 1:
            raise MemoryError
        return start(*how, **more)

    monkeypatch.setattr(client.subprocess, "Popen", fail_once)
    with pytest.raises(EngineLost):
        engine.call("die")
    assert engine.call("add", 1, 1) == 2
    assert len(tries) == 2
