import errno
import multiprocessing
import os
from pathlib import Path

import pytest

from kvdemo.core.cancellation import CancelFile, CancelFiles


def test_a_stop_flag_is_seen_by_its_own_run_only() -> None:
    flags = CancelFiles()
    flags.of("run/../1").set()
    assert flags.of("run/../1").is_set()
    assert not flags.of("run 2").is_set()
    flags.of("run/../1").clear()
    assert not flags.of("run/../1").is_set()
    flags.of("run/../1").clear()  # clearing twice is no error


def test_a_stop_flag_of_one_server_is_not_seen_by_another() -> None:
    one, other = CancelFiles(), CancelFiles()
    one.of("the same id").set()
    assert not other.of("the same id").is_set()


def test_a_lone_surrogate_in_a_run_id_is_no_error() -> None:
    flags = CancelFiles()
    flag = flags.of("\ud800")
    flag.set()
    assert flag.is_set()


def test_flags_that_are_still_set_leave_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    flags = CancelFiles()
    flags.of("left").set()
    assert list(tmp_path.iterdir())
    del flags
    assert not list(tmp_path.iterdir())


def test_stop_works_on_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    flags = CancelFiles()
    monkeypatch.setattr(Path, "touch", full)
    flags.of("run").set()
    assert flags.of("run").is_set()
    assert not flags.of("other").is_set()
    flags.of("run").clear()
    assert not flags.of("run").is_set()


def test_stop_works_when_no_folder_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.TemporaryDirectory", full)
    flags = CancelFiles()
    assert not flags.of("run").is_set()
    flags.of("run").set()
    assert flags.of("run").is_set()
    flags.of("run").clear()
    assert not flags.of("run").is_set()
    flags.close()


def _raise(flag: CancelFile) -> None:
    flag.set()


@pytest.mark.slow
def test_a_stop_flag_set_in_another_process_is_seen() -> None:
    flags = CancelFiles()
    flag = flags.of("across")
    process = multiprocessing.get_context("spawn").Process(target=_raise, args=(flag,))
    process.start()
    process.join()
    assert flag.is_set()
