"""`race --cache-file`: two commands in a row are turn 1 and turn 2."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kvdemo.cli import main

Race = Callable[..., dict[str, Any]]


@pytest.fixture
def race(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> Race:
    def run(prompt: str, file: Path, expected: int = 0, lanes: str = "dynamic_cache,prefix_cache") -> dict[str, Any]:
        code = main(
            ["race", "--prompt", prompt, "--no-chat", "--model", str(tiny_folder), "--strategies", lanes,
             "--max-new-tokens", "6", "--ignore-eos", "--cache-file", str(file), "--json"]
        )  # fmt: skip
        out, err = capsys.readouterr()
        assert code == expected, err
        return dict(json.loads(out)) if out else {"error": err.splitlines()[-1]}

    return run


def test_the_second_run_reuses_the_prefix_of_the_first(race: Race, tmp_path: Path) -> None:
    file = tmp_path / "kept.safetensors"
    first = race("The quick brown fox jumps. Who?", file)
    second = race("The quick brown fox jumps. Why?", file)
    (_, cold), (plain, warm) = first["lanes"], second["lanes"]
    details = warm["steps"][0]["details"]
    shared = sum(1 for a, b in zip(first["prompt"]["tokens"], second["prompt"]["tokens"], strict=False) if a == b) - 1
    assert cold["steps"][0]["details"] == {"kept": 0, "reused": 0}
    assert details["reused"] == shared > 3
    assert details["ttft_before"] == cold["metrics"]["ttft_s"]
    assert warm["tokens"] == plain["tokens"]
    assert warm["metrics"]["positions"] == plain["metrics"]["positions"] - shared
    assert any(f"are saved in {file}" in remark for remark in warm["remarks"])


def test_a_cache_file_without_prefix_cache_is_refused(race: Race, tmp_path: Path) -> None:
    file = tmp_path / "kept.safetensors"
    assert "add it to --strategies" in race("fox", file, expected=2, lanes="dynamic_cache")["error"]
    assert not file.exists()


@pytest.mark.parametrize("name", ["", "absent/kept.safetensors", "notes/kept.safetensors"])
def test_an_unwritable_path_is_refused_before_anything_runs(race: Race, tmp_path: Path, name: str) -> None:
    (tmp_path / "notes").write_text("a file, not a folder")
    assert "The cache file" in race("fox", tmp_path / name, expected=2)["error"]


def test_a_damaged_and_a_foreign_file_are_refused_and_not_changed(race: Race, tmp_path: Path, tiny_gpt2: Any) -> None:
    from tests.caches.test_prefix_file import written  # noqa: PLC0415

    file = tmp_path / "kept.safetensors"
    file.write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    assert "is not a cache that kvdemo saved" in race("fox", file, expected=2)["error"]
    file.write_bytes(b"no cache")
    assert "cannot be read" in race("fox", file, expected=2)["error"]
    assert file.read_bytes() == b"no cache"
    written(tiny_gpt2, file)
    assert "another model" in race("fox", file, expected=2)["error"]


def test_a_failed_write_changes_the_exit_code_and_keeps_the_document(
    race: Race, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kvdemo.caches import cache_file  # noqa: PLC0415

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_file, "save_file", full)
    made = race("The quick brown fox", tmp_path / "kept.safetensors", expected=1)
    assert made["lanes"][1]["status"] == "done"
    assert "No space left on device" in made["lanes"][1]["remarks"][-1]
