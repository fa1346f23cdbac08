"""No process removes a model that another one uses, whatever kind of lock the system has."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import filelock
import pytest

from kvdemo.models.sources import own_cache
from kvdemo.models.sources.hub import in_use

ID = "someone/a.model"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(own_cache.VARIABLE, str(tmp_path))
    return tmp_path


@pytest.fixture(params=[filelock.FileLock, filelock.SoftFileLock])
def any_lock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own lock, and the one of file systems that have none."""
    monkeypatch.setattr(in_use, "FileLock", request.param)


def is_unused() -> bool:
    with in_use.unused(ID) as nobodys:
        return nobodys


@pytest.mark.usefixtures("any_lock")
def test_a_model_is_unused_when_the_last_user_lets_it_go() -> None:
    assert is_unused()
    one, other = in_use.Uses(), in_use.Uses()
    one.begin(ID)
    one.begin(ID)
    with one.alone(ID) as sole:
        assert sole
    other.begin(ID)
    with one.alone(ID) as sole:
        assert not sole
    one.keep([])
    assert not is_unused()
    other.keep([ID])
    assert not is_unused()
    other.keep([])
    assert is_unused()


@pytest.mark.usefixtures("any_lock")
def test_nobody_begins_to_use_a_model_while_it_is_removed() -> None:
    uses = in_use.Uses()
    uses.begin(ID)
    uses.keep([])
    begun = threading.Event()

    def begin() -> None:
        uses.begin(ID)
        begun.set()

    thread = threading.Thread(target=begin)
    with in_use.unused(ID) as nobodys:
        assert nobodys
        thread.start()
        assert not begun.wait(0.3)
    thread.join()
    assert not is_unused()


@pytest.mark.usefixtures("any_lock")
def test_what_will_arrive_is_known_as_long_as_somebody_uses_it() -> None:
    uses = in_use.Uses()
    uses.begin(ID)
    in_use.note_arriving(ID, 5_000)
    assert in_use.arriving(set()) == {ID: 5_000}
    assert in_use.arriving({ID}) == {}
    uses.keep([])
    assert in_use.arriving(set()) == {}


@pytest.mark.slow
def test_a_killed_process_uses_nothing_and_leaves_nothing(cache: Path) -> None:
    program = (
        f"import sys; from kvdemo.models.sources.hub import in_use; u = in_use.Uses(); u.begin({ID!r});"
        "print('there', flush=True); sys.stdin.read()"
    )
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == b"there\n"
        assert not is_unused()
        other.kill()
    assert is_unused()
    assert not list(cache.rglob("*.lock"))


def test_a_cache_that_cannot_be_written_to_stops_nobody(cache: Path) -> None:
    (cache / "models-in-use").write_text("no folder")
    uses = in_use.Uses()
    uses.begin(ID)
    with uses.alone(ID) as sole:
        assert sole
    assert is_unused()
    assert in_use.last_use(ID) is None
