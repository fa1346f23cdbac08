import os
from pathlib import Path

import pytest

from kvdemo.measure import kept


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KVDEMO_CACHE_DIR", str(tmp_path))
    return tmp_path


def test_a_document_is_found_again_as_it_was_last_kept() -> None:
    kept.keep({"run_id": "abc", "status": "running"})
    kept.keep({"run_id": "abc", "status": "done"})
    assert kept.find("abc") == {"run_id": "abc", "status": "done"}


@pytest.mark.parametrize("run_id", ["nobody", "", "../abc", "a" * 100, "abc\0"])
def test_what_is_not_there_is_none(run_id: str) -> None:
    kept.keep({"run_id": "abc"})
    assert kept.find(run_id) is None


def test_a_file_that_is_no_document_is_none() -> None:
    kept.keep({"run_id": "abc"})
    (kept.folder() / "abc.json").write_text("{half", "utf-8")
    assert kept.find("abc") is None


def test_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST", 2)
    for n in range(4):
        kept.keep({"run_id": f"run{n}"})
    assert len(list(kept.folder().glob("*.json"))) == 2
    assert kept.find("run3")
    assert not list(kept.folder().glob("*.part"))


def test_documents_are_bounded_in_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_BYTES", 1000)
    for n in range(4):
        kept.keep({"run_id": f"run{n}", "text": "x" * 400})
        os.utime(kept.folder() / f"run{n}.json", (n, n))  # kept within one tick of the clock
    kept.keep({"run_id": "last"})
    assert [bool(kept.find(name)) for name in ("run0", "run1", "run2", "run3", "last")] == [
        False,
        False,
        True,
        True,
        True,
    ]
    kept.keep({"run_id": "huge", "text": "x" * 2000})
    assert kept.find("huge") is None
    assert kept.find("last")


@pytest.mark.parametrize("broken", [{"run_id": "abc", "x": {1, 2}}, {"run_id": "abc", 1j: 2}, {}])
def test_a_document_that_is_none_leaves_nothing_behind(own_cache: Path, broken: dict) -> None:
    kept.keep({"run_id": "abc", "status": "running"})
    with pytest.raises((TypeError, KeyError)):
        kept.keep(broken)
    assert [path.name for path in (own_cache / "measurements").iterdir()] == ["abc.json"]
    assert kept.find("abc") == {"run_id": "abc", "status": "running"}


def test_a_disk_that_is_full_midway_leaves_nothing_behind(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    kept.keep({"run_id": "abc"})
    assert not list((own_cache / "measurements").iterdir())


def test_what_a_killed_process_left_half_written_is_swept_when_it_is_old(own_cache: Path) -> None:
    kept.keep({"run_id": "abc"})
    old, fresh = (own_cache / "measurements" / name for name in ("old.part", "fresh.part"))
    for file in (old, fresh):
        file.write_text("{", "utf-8")
    os.utime(old, (1, 1))
    kept.keep({"run_id": "abc"})
    assert (old.exists(), fresh.exists()) == (False, True)


def test_a_disk_that_refuses_costs_the_keeping_only(own_cache: Path) -> None:
    (own_cache / "measurements").write_text("a file where the folder should be")
    kept.keep({"run_id": "abc"})
    assert kept.find("abc") is None
