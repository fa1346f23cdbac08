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
COMPUTES_APART = """
import os, time, torch
from kvdemo.engine import openmp
torch.set_num_threads(3)
count = lambda: len(os.listdir("/proc/self/task"))
def compute():
    torch.ones(2000, 2000).sum().item()
    seen.append(count())
seen, before = [], count()
openmp.apart(compute)
end = time.monotonic() + 30
while count() > before and time.monotonic() < end:  # Python's thread is over a moment before the system's
    time.sleep(0.01)
print(seen[0] - before, count() - before)
"""


@pytest.mark.skipif(not TASKS.is_dir(), reason="counts threads as Linux lists them")
def test_work_done_apart_leaves_no_openmp_thread() -> None:
    command = [sys.executable, "-c", COMPUTES_APART]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert told.split() == ["3", "0"]  # its own thread and two of OpenMP's, and then none


def settings() -> dict[str, str]:
    return {name: os.environ[name] for name in openmp.SETTINGS if name in os.environ}
