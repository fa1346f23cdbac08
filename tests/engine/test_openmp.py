import os
import subprocess
import sys
from pathlib import Path

import pytest

from kvdemo.engine import openmp


@pytest.fixture(autouse=True)
def as_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is set, and torch is not imported yet."""
    for name in openmp.SETTINGS:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name, "")  # so that what a test sets is taken back
        monkeypatch.delenv(name)
    monkeypatch.setattr(openmp, "chosen", {})
    monkeypatch.delitem(sys.modules, "torch", raising=False)


def test_waiting_openmp_threads_do_not_spin() -> None:
    openmp.limit_spinning()
    assert settings() == openmp.CHOICE
    assert openmp.wait_policy() == f"GOMP_SPINCOUNT={openmp.CHOICE['GOMP_SPINCOUNT']} (kvdemo's choice)"
    openmp.limit_spinning()
    assert openmp.wait_policy().endswith("(kvdemo's choice)")  # asking twice does not make it the user's


@pytest.mark.parametrize(
    ("name", "value"), [("GOMP_SPINCOUNT", "7"), ("OMP_WAIT_POLICY", "ACTIVE"), ("OMP_WAIT_POLICY", "")]
)
def test_a_spin_setting_of_the_user_is_kept(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    openmp.limit_spinning()
    assert settings() == {name: value}
    assert openmp.wait_policy() == f"{name}={value} (from the environment)"


def test_nothing_is_set_or_stated_once_torch_has_been_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", pytest)
    openmp.limit_spinning()
    assert settings() == {}
    assert openmp.wait_policy() == "the library's own waiting (nothing is set)"


TASKS = Path("/proc/self/task")
COMPUTES = """
import os, threading, time, torch
from kvdemo.engine import openmp
torch.set_num_threads(3)
count = lambda: len(os.listdir("/proc/self/task"))
def settled(wanted):
    end = time.monotonic() + 30
    while count() != wanted and time.monotonic() < end:
        time.sleep(0.01)
    return count()
def compute():
    torch.ones(2000, 2000).sum().item()
    seen.append(settled(before + 3) - before)
def stay():
    compute()
    openmp.end_threads()
    seen.append(settled(before + 1) - before)
    compute()
seen, before = [], count()
thread = threading.Thread(target=stay)
thread.start()
thread.join()
print(*seen)
"""


@pytest.mark.skipif(not TASKS.is_dir(), reason="counts threads as Linux lists them")
def test_a_thread_that_lives_on_keeps_no_openmp_threads() -> None:
    command = [sys.executable, "-c", COMPUTES]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert told.split() == ["3", "1", "3"]  # itself and two of OpenMP's; itself alone; and new ones


def test_without_torch_there_is_nothing_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openmp, "_gnu_libraries", lambda: pytest.fail("it was looked for"))
    openmp.end_threads()


def test_a_library_that_cannot_be_opened_ends_nobodys_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", pytest)
    monkeypatch.setattr(openmp, "_gnu_libraries", lambda: {"/gone/libgomp.so.1 (deleted)"})
    openmp.end_threads()


def settings() -> dict[str, str]:
    return {name: os.environ[name] for name in openmp.SETTINGS if name in os.environ}
