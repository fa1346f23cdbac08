"""The order in which the places are asked. Each place has tests of its own."""

import os
import sys
import time
from pathlib import Path

import pytest
from huggingface_hub import constants

import kvdemo.models.sources
from kvdemo.core.errors import BadInput
from kvdemo.models.names import catalog
from kvdemo.models.sources import file_record, find, pypi
from kvdemo.models.sources.hub import hub
from kvdemo.models.sources.source import Source
from tests.models.saved import refusal, save_llama


@pytest.fixture(autouse=True)
def nothing_cached(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setenv("KVDEMO_CACHE_DIR", str(tmp_path / "own-cache"))


@pytest.fixture
def no_hub(monkeypatch) -> list[float]:
    """A Hub that is not there, and how many seconds it was waited for each time it was asked."""
    waited: list[float] = []

    def refuse(_hub_id, _progress, *, patience=4.0, terms=None, weights=True):  # noqa: ARG001
        waited.append(patience)
        raise BadInput("no Hub.")

    monkeypatch.setattr(hub, "fetch", refuse)
    return waited


def found(model):
    return find.find(model, lambda _: None)


def test_a_folder_is_used_in_place(tmp_path):
    folder = save_llama(tmp_path / "m")
    assert found(str(folder)) == Source("folder", str(folder), folder, None)


def test_only_the_default_model_comes_from_pypi(no_hub, tmp_path, monkeypatch):
    there = Source("pypi", "p", tmp_path, "r")
    monkeypatch.setattr(pypi, "fetch", lambda _: there)
    assert found(catalog.DEFAULT) is there
    assert found("smollm2-135m-instruct") is there
    assert refusal(lambda: found("gpt2")) == "no Hub."
    assert no_hub == [4.0, 4.0, 4.0]


@pytest.mark.slow
def test_with_a_copy_from_pypi_the_hub_gets_less_time(no_hub, tmp_path):
    ready = save_llama(tmp_path / "own-cache" / pypi.FOLDER)
    assert found(catalog.DEFAULT).folder == ready
    assert no_hub == [1.5]


def test_the_hub_comes_before_pypi_and_its_cache_before_the_hub(tmp_path, monkeypatch):
    from_hub, from_cache = Source("hub", "h", tmp_path), Source("hub cache", "c", tmp_path)
    monkeypatch.setattr(hub, "fetch", lambda *_, **__: from_hub)
    assert found(catalog.DEFAULT) is from_hub
    monkeypatch.setattr(hub, "cached", lambda _: from_cache)
    assert found(catalog.DEFAULT) is from_cache


def test_without_the_gguf_package_the_default_model_comes_from_the_hub(no_hub, monkeypatch):
    monkeypatch.delattr(kvdemo.models.sources, "pypi", raising=False)
    monkeypatch.setitem(sys.modules, "kvdemo.models.sources.pypi", None)
    assert refusal(lambda: found(catalog.DEFAULT)) == "no Hub."
    assert no_hub == [4.0]


@pytest.fixture
def copy(tmp_path, monkeypatch) -> Path:
    """PyPI's copy of the default model, as an earlier start has left it; nothing may be fetched or hashed again."""
    folder = save_llama(tmp_path / "own-cache" / pypi.FOLDER)
    file_record.write(folder)
    monkeypatch.setattr(pypi, "fetch", lambda _: pytest.fail("fetched or hashed"))
    return folder


@pytest.mark.slow
def test_a_changed_copy_from_pypi_is_not_hashed_while_the_device_is_held(copy):
    def held():
        return find.find(catalog.DEFAULT, lambda _: None, download=False).folder

    assert find.is_here(catalog.DEFAULT)
    assert held() == copy
    os.utime(copy / "config.json")
    assert not find.is_here(catalog.DEFAULT)  # to be hashed, which another process does
    assert held() == copy
    (copy / "model.safetensors").write_bytes(b"")
    assert (
        refusal(held)
        == f"{catalog.DEFAULT} is not on this server's disk: it was removed, or could not be had; try again."
    )


@pytest.mark.slow
@pytest.mark.parametrize("years", [-30, 30])
def test_a_copy_from_pypi_is_kept_when_the_clock_changes(copy, years, monkeypatch):
    now = time.time()
    monkeypatch.setattr(file_record.time, "time", lambda: now + years * 365 * 86400)
    hashed = []
    assert file_record.holds(copy, lambda: hashed.append(True))
    assert hashed == [True]
    assert find.is_here(catalog.DEFAULT)


@pytest.mark.slow
@pytest.mark.usefixtures("copy")
def test_the_hub_is_asked_at_a_servers_start_though_a_copy_from_pypi_is_here(monkeypatch):
    asked = []
    monkeypatch.setattr(hub, "answers", lambda *what: asked.append(what) or True)
    assert not find.is_best_here(catalog.DEFAULT)
    monkeypatch.setattr(hub, "answers", lambda *_: False)
    assert find.is_best_here(catalog.DEFAULT)
    assert asked == [(catalog.DEFAULT, 1.5)]


def test_random_weights_need_no_files(no_hub):
    assert found("random:gpt2") == Source("random weights", "openai-community/gpt2", None)
    assert no_hub == []
