"""What is asked of processes that end, or answer what cannot be read. They are scripted, and real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from kvdemo.server.engine_process import client, link
from kvdemo.server.engine_process.client import MOST_IN_VAIN, Engine, EngineLost, EngineSilent

#: A process that is silent for so long is ended, where it is a minute. A machine may be busy.
SILENT_SECONDS, LOOK_SECONDS = 4.0, 0.1

SCRIPTED = """
import ctypes, os, signal, sys, time
from multiprocessing.connection import Connection
from kvdemo.server.engine_process.serve import answer_all

class Unreadable:
    def __reduce__(self):
        return eval, ("[].more_than_fits",)

class Service:
    def add(self, a, b):
        return a + b

    def strategies(self):
        return "listed"

    def die(self):
        os._exit(9)

    def stop_still(self):
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(60)  # this thread may go on for a moment

    def hold_python(self, seconds):
        ctypes.PyDLL(None).usleep(int(seconds * 1e6))  # no other thread runs meanwhile

    def sleep(self, seconds):
        time.sleep(seconds)
        return "slept"

    def unreadable(self):
        return Unreadable()

    def run(self, *says):
        for said in says:
            if said == "die":
                os._exit(9)
            if said == "stop still":
                self.stop_still()
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
    for module in (client, link):
        monkeypatch.setattr(module, "LOOK_SECONDS", LOOK_SECONDS)
    monkeypatch.setattr(client, "SILENT_SECONDS", SILENT_SECONDS)
    monkeypatch.setattr(client, "MOST_PATIENCE", 1)
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


SILENT = "did not answer any more: this run is lost, .* Try again"


def test_a_process_that_stands_still_is_ended_and_the_next_one_answers(engine: Engine) -> None:
    with pytest.raises(EngineLost, match=SILENT):
        engine.call("stop_still")
    assert engine.call("add", 1, 1) == 2
    assert engine.restarts == 1


def test_a_run_that_waits_in_a_process_that_stands_still_is_asked_for_again(engine: Engine) -> None:
    heard: list[str] = []
    with pytest.raises(EngineLost, match=SILENT):
        drawn(engine, "waits", "stop still", heard=heard)
    assert heard == ["waits"] * MOST_IN_VAIN


def test_a_process_that_not_even_a_kill_ends_is_left_and_the_next_one_answers(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine.call("add", 1, 1) == 2
    assert engine._link is not None
    stuck = engine._link.process
    with monkeypatch.context() as driver:
        driver.setattr(stuck, "kill", lambda: None)
        driver.setattr(link, "END_SECONDS", 0.1)
        with pytest.raises(EngineLost, match=SILENT):
            engine.call("stop_still")
        assert engine.call("add", 1, 1) == 2
        assert stuck.poll() is None
    stuck.kill()
    stuck.wait()


@pytest.mark.parametrize("backlog", [0, 20])
def test_who_asks_for_a_moment_waits_no_longer_for_a_process_that_stands_still(engine: Engine, backlog: int) -> None:
    assert engine.call_soon("strategies", 30) == "listed"
    askers = [threading.Thread(target=lost, args=(engine, "stop_still"))]
    askers += [threading.Thread(target=lost, args=(engine, "add", "x" * 1_000_000, "")) for _ in range(backlog)]
    for asker in askers:
        asker.start()
    time.sleep(0.5)
    start = time.monotonic()
    with pytest.raises(EngineSilent):
        engine.call_soon("strategies", 0.5)
    first = time.monotonic()
    with pytest.raises(EngineSilent):
        engine.call_soon("strategies", 30)
    assert first - start < 2
    assert time.monotonic() - first < 0.4  # it is known already
    for asker in askers:
        asker.join(60)
        assert not asker.is_alive()
    assert engine.call_soon("strategies", 30) == "listed"


def lost(engine: Engine, *asked: Any) -> None:
    with pytest.raises(EngineLost):
        engine.call(*asked)


def test_who_was_not_answered_in_time_is_answered_once_the_process_goes_on(engine: Engine) -> None:
    assert engine.call("add", 1, 1) == 2
    assert engine.process_id
    os.kill(engine.process_id, signal.SIGSTOP)
    with pytest.raises(EngineSilent):
        engine.call_soon("strategies", 0.2)
    os.kill(engine.process_id, signal.SIGCONT)
    deadline = time.monotonic() + 30
    while engine._link and engine._link.silent:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert engine.call_soon("strategies", 30) == "listed"
    assert engine.restarts == 0


@pytest.mark.parametrize(("what", "seconds"), [("sleep", 1.5 * SILENT_SECONDS), ("hold_python", SILENT_SECONDS / 4)])
def test_a_long_step_and_a_call_that_holds_python_for_a_while_are_no_silence(
    engine: Engine, what: str, seconds: float
) -> None:
    engine.call(what, seconds)
    assert engine.restarts == 0


def test_a_call_that_holds_python_for_too_long_is_silence(engine: Engine) -> None:
    with pytest.raises(EngineLost, match=SILENT):
        engine.call("hold_python", 5 * SILENT_SECONDS)
    assert engine.call("add", 1, 1) == 2


def test_a_process_after_one_that_was_ended_in_vain_has_more_time(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MOST_PATIENCE", 2)
    with pytest.raises(EngineLost):
        engine.call("die")
    engine.call("hold_python", 1.4 * SILENT_SECONDS)
    assert engine.restarts == 1


def test_a_server_with_a_process_that_stands_still_ends(engine: Engine) -> None:
    asker = threading.Thread(target=lost, args=(engine, "stop_still"))
    asker.start()
    time.sleep(0.5)
    start = time.monotonic()
    engine.close()
    assert time.monotonic() - start < SILENT_SECONDS
    asker.join(10)
    assert not asker.is_alive()
