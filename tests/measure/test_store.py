import os
from pathlib import Path

import pytest

from kvdemo.measure import store


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KVDEMO_CACHE_DIR", str(tmp_path))
    return tmp_path


def test_a_document_is_found_as_it_was_last_saved() -> None:
    store.save({"run_id": "abc", "status": "running"})
    store.save({"run_id": "abc", "status": "done"})
    assert store.find("abc") == {"run_id": "abc", "status": "done"}


@pytest.mark.parametrize("run_id", ["nobody", "", "../abc", "a" * 100, "abc\0"])
def test_a_missing_document_is_none(run_id: str) -> None:
    store.save({"run_id": "abc"})
    assert store.find(run_id) is None


def test_a_document_is_worth_keeping_once_a_lane_has_a_run() -> None:
    assert not store.is_worth_keeping({"lanes": [{"runs": []}, {"runs": []}]})
    assert store.is_worth_keeping({"lanes": [{"runs": []}, {"runs": [{}]}]})


def test_a_deleted_document_is_gone_and_may_have_been_gone_before() -> None:
    store.save({"run_id": "abc"})
    store.save({"run_id": "other"})
    for _ in range(2):
        store.delete("abc")
    assert (store.find("abc"), bool(store.find("other"))) == (None, True)


def test_a_file_that_is_no_document_is_none() -> None:
    store.save({"run_id": "abc"})
    (store.folder() / "abc.json").write_text("{half", "utf-8")
    assert store.find("abc") is None


def test_the_oldest_documents_are_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST", 2)
    for n in range(4):
        store.save({"run_id": f"run{n}"})
    assert len(list(store.folder().glob("*.json"))) == 2
    assert store.find("run3")
    assert not list(store.folder().glob("*.part"))


def test_a_new_document_is_kept_after_the_clock_was_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST", 2)
    for name in ("a", "b"):
        store.save({"run_id": name})
        os.utime(store.folder() / f"{name}.json", (4e9, 4e9))
    store.save({"run_id": "now"})
    assert store.find("now")
    assert len(list(store.folder().glob("*.json"))) == 2


def test_stored_documents_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_BYTES", 1000)
    for n in range(4):
        store.save({"run_id": f"run{n}", "text": "x" * 400})
        os.utime(store.folder() / f"run{n}.json", (n, n))  # kept within one tick of the clock
    store.save({"run_id": "last"})
    assert [bool(store.find(name)) for name in ("run0", "run1", "run2", "run3", "last")] == [
        False,
        False,
        True,
        True,
        True,
    ]
    store.save({"run_id": "huge", "text": "x" * 2000})
    assert store.find("huge") is None
    assert store.find("last")


@pytest.mark.parametrize("broken", [{"run_id": "abc", "x": {1, 2}}, {"run_id": "abc", 1j: 2}, {}])
def test_an_invalid_document_leaves_no_file(own_cache: Path, broken: dict) -> None:
    store.save({"run_id": "abc", "status": "running"})
    with pytest.raises((TypeError, KeyError)):
        store.save(broken)
    assert [path.name for path in (own_cache / "measurements").iterdir()] == ["abc.json"]
    assert store.find("abc") == {"run_id": "abc", "status": "running"}


def test_a_disk_that_fills_up_leaves_no_file(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    store.save({"run_id": "abc"})
    assert not list((own_cache / "measurements").iterdir())


def test_old_partial_files_of_a_killed_process_are_deleted(own_cache: Path) -> None:
    store.save({"run_id": "abc"})
    old, fresh = (own_cache / "measurements" / name for name in ("old.part", "fresh.part"))
    for file in (old, fresh):
        file.write_text("{", "utf-8")
    os.utime(old, (1, 1))
    store.save({"run_id": "abc"})
    assert (old.exists(), fresh.exists()) == (False, True)


def test_a_disk_error_loses_the_stored_copy_only(own_cache: Path) -> None:
    (own_cache / "measurements").write_text("a file where the folder should be")
    store.save({"run_id": "abc"})
    assert store.find("abc") is None
