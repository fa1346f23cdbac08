"""Folders of the server are its user's: a visitor from elsewhere does not learn what exists there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.events import Finished
from kvdemo.core.system import public_server
from kvdemo.models.names import folders
from kvdemo.server.service import Service

FORM: dict[str, Any] = {"prompt": "The fox", "max_new_tokens": 2, "strategies": "no_cache", "ignore_eos": True}
MACHINE: dict[str, Any] = {"memory_gb": 16, "bandwidth_gb_s": 320}


@pytest.fixture
def strangers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The server is open to other machines."""
    monkeypatch.delenv(folders.VARIABLE, raising=False)
    monkeypatch.setattr(public_server, "_declared", threading.Event())
    public_server.declare()
    return


def refusals(service: Service, name: str) -> list[str]:
    """What a visitor is told who names a folder, in each place that takes a model."""
    said = []
    for ask in (
        lambda: list(service.race(FORM | {"model": name}, "r")),
        lambda: list(service.measure(FORM | {"model": name, "repeats": 1}, "m")),
        lambda: list(service.inside({"prompt": "x", "model": name}, "i")),
        lambda: service.plan(MACHINE | {"model": name}),
    ):
        with pytest.raises(BadInput) as refused:
            ask()
        said.append(str(refused.value).replace(name, "NAME"))
    return [*said, service.estimate(FORM | {"model": name}).replace(name, "NAME")]


@pytest.mark.slow  # it plans, in a process that imports transformers
@pytest.mark.usefixtures("strangers")
def test_a_stranger_cannot_tell_which_folders_exist_and_the_operators_model_runs(
    tiny_folder: Path, tmp_path: Path
) -> None:
    service = Service(str(tiny_folder), device="cpu")
    (tmp_path / "there").mkdir()
    there, gone = (refusals(service, str(tmp_path / name)) for name in ("there", "gone"))
    assert there == gone
    assert all("Folders of this server cannot be opened" in sentence for sentence in there)
    assert isinstance(list(service.race(FORM, "own"))[-1][-1], Finished)
    assert isinstance(list(service.race(FORM | {"model": str(tiny_folder)}, "named"))[-1][-1], Finished)
    assert service.plan(MACHINE | {"model": str(tiny_folder)})["model"]["layers"] == 2
    assert service.fit(FORM)


@pytest.mark.usefixtures("strangers")
def test_the_environment_variable_allows_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not folders.allowed()
    monkeypatch.setenv(folders.VARIABLE, "1")
    assert folders.allowed()


def test_a_private_server_allows_folders_until_it_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(folders.VARIABLE, raising=False)
    monkeypatch.delenv("SPACE_ID", raising=False)
    monkeypatch.setattr(public_server, "_declared", threading.Event())
    assert folders.allowed()
    monkeypatch.setenv("SPACE_ID", "a/b")
    assert not folders.allowed()
