"""A store that is a file: what comes out is what went in, and a note that makes no sense is no run to compare with."""

import json
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from kvdemo.caches import cache_file, legacy_format
from kvdemo.caches.prefix_file import PrefixFile
from kvdemo.caches.prefix_store import PrefixEntry, PrefixRun
from kvdemo.core.errors import BadInput
from kvdemo.models.loaded import LoadedModel
from tests.caches.test_cache_file import half_way


def written(model: LoadedModel, path: Path) -> PrefixEntry:
    cache, ids, _ = half_way(model)
    kept = PrefixEntry(tuple(ids), legacy_format.to_legacy(cache), PrefixRun(0.25, prompt_tokens=9, reused=4))
    assert PrefixFile(path).put(model, kept).startswith(f"Its {len(ids)} positions (")
    return kept


def test_a_written_file_is_read_back_unchanged(tiny_model: LoadedModel, tmp_path: Path) -> None:
    path = tmp_path / "cache.safetensors"
    assert PrefixFile(path).find(tiny_model) is None
    kept = written(tiny_model, path)
    found = PrefixFile(path).find(tiny_model)
    assert found is not None
    assert (found.ids, found.run) == (kept.ids, kept.run)
    for ours, theirs in zip(kept.pairs, found.pairs, strict=True):
        assert all(map(torch.equal, ours, theirs))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]  # nothing unfinished is left


def test_keys_and_values_in_use_do_not_change_with_their_file(tiny_llama: LoadedModel, tmp_path: Path) -> None:
    path = tmp_path / "cache.safetensors"
    written(tiny_llama, path)
    found = PrefixFile(path).find(tiny_llama)
    assert found is not None
    before = [tensor.clone() for pair in found.pairs for tensor in pair]
    with path.open("r+b") as file:  # in place, where a mapped file would show it
        file.write(b"\0" * path.stat().st_size)
    assert all(map(torch.equal, before, [tensor for pair in found.pairs for tensor in pair]))


@pytest.mark.parametrize(
    "note",
    ["", "{}", "[" * 100_000, "null", '{"ttft_s": NaN, "prompt_tokens": 9, "reused": 4}',
     '{"ttft_s": -1, "prompt_tokens": 9, "reused": 4}', '{"ttft_s": 1, "prompt_tokens": 9, "reused": 9}',
     '{"ttft_s": 1, "prompt_tokens": 1e999, "reused": 0}', '{"ttft_s": "soon", "prompt_tokens": 9, "reused": 4}'],
)  # fmt: skip
def test_an_invalid_note_is_ignored(tiny_llama: LoadedModel, tmp_path: Path, note: str) -> None:
    path = tmp_path / "cache.safetensors"
    kept = written(tiny_llama, path)
    cache_file.write(path, kept.pairs, tiny_llama, kept.ids, note)
    found = PrefixFile(path).find(tiny_llama)
    assert found is not None
    assert (found.ids, found.run) == (kept.ids, None)


def test_a_damaged_or_foreign_file_is_refused_and_not_changed(
    tiny_llama: LoadedModel, tiny_gpt2: LoadedModel, tmp_path: Path
) -> None:
    path = tmp_path / "cache.safetensors"
    written(tiny_llama, path)
    with pytest.raises(BadInput, match="was written by another model"):
        PrefixFile(path).find(tiny_gpt2)
    path.write_bytes(whole := path.read_bytes()[:-9])
    with pytest.raises(BadInput, match="cannot be read"):
        PrefixFile(path).find(tiny_llama)
    assert path.read_bytes() == whole


def test_a_file_whose_ids_do_not_match_its_tensors_is_refused(tiny_llama: LoadedModel, tmp_path: Path) -> None:
    path = tmp_path / "cache.safetensors"
    kept = written(tiny_llama, path)
    with safe_open(path, framework="pt") as opened:
        about = opened.metadata() | {"tokens": json.dumps(kept.ids[:-1])}
        tensors = {name: opened.get_tensor(name).clone() for name in opened.keys()}  # noqa: SIM118
    save_file(tensors, path, metadata=about)
    with pytest.raises(BadInput, match="is damaged"):
        PrefixFile(path).find(tiny_llama)


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may grow beyond a few bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_fails_keeps_the_old_file_and_says_why(
    tiny_llama: LoadedModel, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = tmp_path / "cache.safetensors"
    kept = written(tiny_llama, path)
    before = path.read_bytes()

    request.getfixturevalue("full_disk")
    store = PrefixFile(path)
    with pytest.raises(BadInput, match=r"cannot be written to .*File too large.*\.$"):
        store.put(tiny_llama, kept)
    assert store.error and "File too large" in store.error
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
