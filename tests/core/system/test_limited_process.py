"""What a stranger wrote is worked on with limits: it can neither hold the server nor fill its memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kvdemo.core.errors import BadInput, NoTime
from kvdemo.core.system import limited_process
from kvdemo.core.system.limited_process import ShortLived

pytestmark = pytest.mark.slow
HOSTILE = "tests.core.hostile"


@pytest.fixture(scope="module")
def calls() -> Iterator[ShortLived]:
    return ShortLived(HOSTILE)


def call(calls: ShortLived, name: str, *arguments: Any, seconds: float = 30) -> Any:
    return calls.call("The file", f"{HOSTILE}:{name}", *arguments, seconds=seconds)


def test_a_call_returns_the_functions_value_whatever_it_prints(calls: ShortLived) -> None:
    assert [call(calls, "add", 1, n) for n in range(3)] == [1, 2, 3]


def test_an_endless_call_is_ended_and_the_next_call_works(calls: ShortLived) -> None:
    call(calls, "add", 0, 0)
    begun = time.monotonic()
    with pytest.raises(BadInput, match="The file takes more than 0.5 s"):
        call(calls, "endless", seconds=0.5)
    assert time.monotonic() - begun < 20
    assert call(calls, "add", 1, 1) == 2


def test_a_call_that_got_no_time_is_told_from_one_that_takes_too_much(
    calls: ShortLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one's processor was busy elsewhere: a call that sleeps stands in for it."""
    with pytest.raises(NoTime, match="^The file takes more than 0.5 s to work out while this computer is busy: try"):
        call(calls, "idle", seconds=0.5)
    monkeypatch.setattr(limited_process, "OWN_FAULT", 0.05)  # tests may run on a busy machine, and give way by default
    with pytest.raises(BadInput) as refused:
        call(ShortLived(HOSTILE, nice=0), "endless", seconds=2)
    assert not isinstance(refused.value, NoTime)


@pytest.mark.parametrize("name", ["greedy", "die"])
def test_a_call_that_fills_the_memory_or_crashes_fails_alone(calls: ShortLived, name: str) -> None:
    with pytest.raises(BadInput, match="too much memory"):
        call(calls, name)
    assert call(calls, "add", 1, 1) == 2


def test_a_refusal_keeps_its_sentence_and_an_unexpected_error_becomes_one(calls: ShortLived) -> None:
    with pytest.raises(BadInput, match="It is not so: choose another"):
        call(calls, "refuse")
    with pytest.raises(RuntimeError, match="ValueError: broken"):
        call(calls, "fail")


def test_a_process_that_was_started_ahead_takes_the_first_call_and_imports_at_a_low_priority() -> None:
    ahead = ShortLived(HOSTILE)
    ahead.start()
    ahead.start()
    server = call(ahead, "server")
    assert call(ahead, "server") == server
    assert os.getpriority(os.PRIO_PROCESS, server) == 19
    ahead.close()


def test_a_killed_process_is_started_again(calls: ShortLived) -> None:
    with pytest.raises((BadInput, RuntimeError)):
        call(calls, "kill_server")  # each time that it is tried
    assert call(calls, "add", 1, 1) == 2


def test_calls_run_at_a_lower_priority_than_the_steps_of_a_race(calls: ShortLived) -> None:
    assert call(calls, "niceness") == 19


def test_it_gives_way_by_as_much_as_is_asked_for() -> None:
    assert call(ShortLived(HOSTILE, nice=3), "niceness") == min(19, os.nice(0) + 3)


def test_the_sentence_of_a_call_that_is_ended_says_what_helps(
    calls: ShortLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limited_process, "OWN_FAULT", 0)
    with pytest.raises(BadInput, match="^The file takes more than 0.5 s to work out: write another.$"):
        calls.call("The file", f"{HOSTILE}:endless", seconds=0.5, remedy="write another")


def test_a_call_does_not_outlive_a_server_process_that_was_killed(tmp_path: Path) -> None:
    spare, file = ShortLived(HOSTILE), tmp_path / "its id"
    with pytest.raises((BadInput, RuntimeError)):
        spare.call("The file", f"{HOSTILE}:endless_orphan", str(file), seconds=1)
    orphans = [int(one) for one in file.read_text().split()]
    deadline = time.monotonic() + 60
    while any(map(alive, orphans)):
        assert time.monotonic() < deadline, "it runs for ever"
        time.sleep(0.05)


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_fork_of_the_caller_calls_by_a_process_of_its_own(calls: ShortLived) -> None:
    assert call(calls, "add", 1, 1) == 2
    child = os.fork()
    if not child:
        os._exit(call(calls, "add", 2, 3))
    assert [call(calls, "add", 1, n) for n in range(20)] == list(range(1, 21))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5


def test_a_process_whose_caller_was_killed_ends_without_a_word() -> None:
    command = [sys.executable, "-m", limited_process.__name__, "0"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as server:
        assert server.stdin and server.stdout and server.stderr
        limited_process._send(server.stdin, ("time:sleep", (0.2,), {}, 20.0))
        server.stdin.close()
        server.stdout.close()
        assert server.stderr.read() == b""
        assert server.wait(20) == 1
