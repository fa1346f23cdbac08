from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from kvdemo.core.system.temporary import LockedFolder, OwnFolder

pytestmark = pytest.mark.skipif(os.name == "nt", reason="folders cannot be locked there")

#: Another server: it takes a folder, has its own child write into it, and waits.
OTHER = """
import subprocess, sys
from kvdemo.core.system.temporary import OwnFolder
folder = OwnFolder()
subprocess.run([sys.executable, "-c", "import tempfile; tempfile.mkdtemp()"], check=True)
print(folder.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def other() -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def test_what_a_program_and_its_children_write_goes_with_its_folder(place: Path) -> None:
    folder = OwnFolder()
    subprocess.run([sys.executable, "-c", "import tempfile; tempfile.mkdtemp(prefix='left')"], check=True)
    tempfile.mkdtemp(prefix="also")
    assert list(place.iterdir()) == [folder.path]
    assert sorted(path.name[:4] for path in folder.path.iterdir()) == ["also", "left"]
    assert folder.path.stat().st_mode & 0o077 == 0
    folder.close()
    assert list(place.iterdir()) == []
    assert os.environ["TMPDIR"] == tempfile.gettempdir() == str(place)


def test_what_a_killed_server_left_is_removed_by_the_next_and_what_a_running_one_uses_is_not(place: Path) -> None:
    process, used = other()
    try:
        OwnFolder().close()
        assert [path.parent for path in used.iterdir()] == [used]
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert used.exists()
        OwnFolder().close()
        assert list(place.iterdir()) == []
    finally:
        process.kill()


def test_folders_of_other_names_are_not_removed(place: Path) -> None:
    kept = [place / name for name in ("kvdemo-results", "kvdemo-temporary-results", "kvdemo-temporary-")]
    for folder in kept:
        folder.mkdir()
    (place / "kvdemo-temporary-abcdefgh").symlink_to(kept[0])
    (place / "kvdemo-temporary-ijklmnop").write_text("no folder")
    OwnFolder().close()
    assert len(list(place.iterdir())) == 5


def test_where_folders_cannot_be_locked_each_server_has_one_all_the_same(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    one = OwnFolder()
    two = OwnFolder()
    assert one.path != two.path
    assert one.path.exists()
    two.close()
    one.close()
    assert list(place.iterdir()) == []


def test_a_folder_that_is_removed_before_it_is_locked_is_made_anew(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, made = tempfile.mkdtemp, []

    def swept(**named: str) -> str:
        made.append(make(**named))
        if len(made) == 1:
            Path(made[0]).rmdir()
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", swept)
    folder = OwnFolder()
    assert str(folder.path) == made[1]
    folder.close()
    assert list(place.iterdir()) == []


def test_old_files_go_whoever_wrote_them_then_the_folders_left_empty_and_new_ones_stay(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("kvdemo.core.system.temporary.time.monotonic", lambda: clock[0])
    folder = LockedFolder(place)
    deep = folder.path / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "file").write_text("")
    (folder.path / "broken off").write_text("")
    for clock[0] in (5000.0, 5900.0):
        folder.remove_old(1000)
        assert len(list(folder.path.rglob("*"))) == 4
    (folder.path / "new").write_text("")
    for clock[0] in (6000.0, 6100.0, 6200.0, 6300.0, 6400.0):  # a folder changes when what is in it goes
        folder.remove_old(1000)
    assert [path.name for path in folder.path.iterdir()] == ["new"]
    assert folder.path.exists()
    folder.close()
