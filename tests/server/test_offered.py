"""Strangers are refused a model that the operator does not offer, before anybody is asked for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.system import public_server
from kvdemo.server.service import Service

FORM: dict[str, Any] = {"prompt": "The fox", "max_new_tokens": 2, "model": "someone/large"}


@pytest.mark.parametrize("kind", ["race", "measure", "inside"])
def test_every_kind_of_run_refuses_a_model_that_is_not_offered(
    monkeypatch: pytest.MonkeyPatch, tiny_folder: Path, kind: str
) -> None:
    monkeypatch.setenv(public_server.VARIABLE, "1")
    service = Service(str(tiny_folder), device="cpu")
    with pytest.raises(BadInput, match="does not offer 'someone/large': choose one of SmolLM2-135M-Instruct,"):
        getattr(service, kind)(FORM, "r")
    assert "does not offer" in service.estimate(FORM)


@pytest.mark.parametrize("kind", ["race", "measure"])
def test_a_draft_model_that_is_not_offered_is_refused_like_a_model(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv(public_server.VARIABLE, "1")
    monkeypatch.setenv("KVDEMO_MODELS", "SmolLM2-360M-Instruct")
    service = Service("SmolLM2-135M-Instruct", device="cpu")
    form = FORM | {"model": "SmolLM2-360M-Instruct"}
    with pytest.raises(BadInput, match="The lane 'speculative:draft=Qwen3-0.6B' cannot run: .* does not offer 'Qwen/"):
        getattr(service, kind)(form | {"strategies": "speculative:draft=Qwen3-0.6B"}, "r")
    for draft in ("auto", "SmolLM2-135M-Instruct", "SmolLM2-360M-Instruct"):
        getattr(service, kind)(form | {"strategies": f"speculative:draft={draft}"}, "r").close()


def test_the_page_lists_the_operators_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KVDEMO_MODELS", "gpt2,someone/small")
    assert [card["id"] for card in Service("gpt2").models()] == ["gpt2", "someone/small"]
    assert [card["id"] for card in Service("Qwen3-0.6B").models()] == ["Qwen3-0.6B", "gpt2", "someone/small"]


def test_the_page_knows_whether_hub_models_and_folders_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KVDEMO_ALLOW_FOLDERS", raising=False)
    for public_, star, free in [("1", "", (False, False)), ("1", "*", (True, False)), ("0", "", (True, True))]:
        monkeypatch.setenv(public_server.VARIABLE, public_)
        monkeypatch.setenv("KVDEMO_MODELS", star)
        assert Service("gpt2").free_names() == dict(zip(("hub", "folders"), free, strict=True))
