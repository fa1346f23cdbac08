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


def test_a_disk_that_refuses_costs_the_keeping_only(own_cache: Path) -> None:
    (own_cache / "measurements").write_text("a file where the folder should be")
    kept.keep({"run_id": "abc"})
    assert kept.find("abc") is None
