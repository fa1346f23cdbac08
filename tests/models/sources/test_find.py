"""The order in which the places are asked. Each place has tests of its own."""

import sys

import pytest
from huggingface_hub import constants

import kvdemo.models.sources
from kvdemo.core.errors import BadInput
from kvdemo.models.names import catalog
from kvdemo.models.sources import find, hub, pypi
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

    def refuse(_hub_id, _progress, *, patience=4.0, terms=None):  # noqa: ARG001
        waited.append(patience)
        raise BadInput("no Hub.")

    monkeypatch.setattr(hub, "fetch", refuse)
    return waited


def found(model):
    return find.find(model, lambda _: None)


def test_a_folder_is_served_from_where_it_is(tmp_path):
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
def test_where_pypi_has_helped_before_the_hub_is_not_waited_for_as_long(no_hub, tmp_path):
    ready = save_llama(tmp_path / "own-cache" / pypi.FOLDER)
    assert found(catalog.DEFAULT).folder == ready
    assert no_hub == [1.5]


def test_the_hub_comes_before_pypi_and_its_cache_before_the_hub(tmp_path, monkeypatch):
    from_hub, from_cache = Source("hub", "h", tmp_path), Source("hub cache", "c", tmp_path)
    monkeypatch.setattr(hub, "fetch", lambda *_, **__: from_hub)
    assert found(catalog.DEFAULT) is from_hub
    monkeypatch.setattr(hub, "cached", lambda _: from_cache)
    assert found(catalog.DEFAULT) is from_cache


def test_without_the_packages_that_pypis_file_needs_the_default_model_comes_from_the_hub(no_hub, monkeypatch):
    monkeypatch.delattr(kvdemo.models.sources, "pypi", raising=False)
    monkeypatch.setitem(sys.modules, "kvdemo.models.sources.pypi", None)
    assert refusal(lambda: found(catalog.DEFAULT)) == "no Hub."
    assert no_hub == [4.0]


def test_random_weights_need_no_place(no_hub):
    assert found("random:gpt2") == Source("random weights", "openai-community/gpt2", None)
    assert no_hub == []
