"""Threads that wait for a core are seen, and those that wait for anything else are not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kvdemo.core.system import core_waits
from kvdemo.core.system.core_waits import CoreWaits

#: As the program has it: the tests' configuration changes it before they run.
MOST = core_waits.MOST
TOLD = Path("/proc/self/schedstat").is_file()


@pytest.fixture(autouse=True)
def as_the_program_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_waits, "MOST", MOST)


def compute(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


@pytest.mark.skipif(not TOLD, reason="this kernel does not count what threads wait")
def test_a_core_that_two_programs_want_is_waited_for() -> None:
    allowed = os.sched_getaffinity(0)
    core = min(allowed)
    busy = f"import os; os.sched_setaffinity(0, {{{core}}})\nprint(flush=True)\nwhile True: pass"
    waits = CoreWaits()
    with subprocess.Popen([sys.executable, "-c", busy], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout
            other.stdout.readline()
            os.sched_setaffinity(0, {core})  # of this thread
            with waits.watched():
                compute(1.0)
        finally:
            os.sched_setaffinity(0, allowed)
            other.kill()
    assert waits.share > MOST
    (sentence,) = waits.sentences()
    assert "Other work used this machine's cores" in sentence


def test_waiting_for_anything_else_is_not_counted() -> None:
    waits = CoreWaits()
    with waits.watched():
        time.sleep(0.3)
    assert waits.watched_s >= 0.3
    assert waits.sentences() == []


def told(threads: Path, **waited: int) -> None:
    for thread, nanoseconds in waited.items():
        (threads / thread).mkdir(exist_ok=True)
        (threads / thread / "schedstat").write_text(f"123 {nanoseconds} 4\n")


def test_what_all_threads_wait_while_it_is_watched_is_added_up(tmp_path: Path) -> None:
    waits = CoreWaits(tmp_path)
    told(tmp_path, a=5_000_000_000, b=0)
    for _ in range(2):
        with waits.watched():
            told(tmp_path, a=6_000_000_000, b=500_000_000, begun_in_it=250_000_000)
        told(tmp_path, a=5_000_000_000, b=0)
        (tmp_path / "begun_in_it" / "schedstat").unlink()
    assert waits.waited_s == 2 * 1.75


def test_a_system_that_does_not_tell_has_nothing_to_say(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "schedstat").write_text("\n")
    for threads in (tmp_path, tmp_path / "none"):
        waits = CoreWaits(threads)
        with waits.watched():
            pass
        assert (waits.share, waits.sentences()) == (0, [])
