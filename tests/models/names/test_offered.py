"""On a server that strangers reach, they choose from the operator's models."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.system import public_server
from kvdemo.models.names import catalog, offered


@pytest.fixture
def _strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(offered.VARIABLE, raising=False)
    monkeypatch.setenv(public_server.VARIABLE, "1")


def refusal(typed: str) -> str:
    try:
        offered.check(catalog.resolve(typed))
    except BadInput as refused:
        return str(refused)
    return ""


@pytest.mark.usefixtures("_strangers")
def test_strangers_may_choose_models_of_the_catalogue_only() -> None:
    assert not any(refusal(card.id) or refusal(card.hub_id) for card in catalog.CATALOG)
    assert not refusal("random:gpt2")
    assert refusal("someone/large").startswith("This server does not offer 'someone/large': choose one of SmolLM2-135M")


@pytest.mark.usefixtures("_strangers")
def test_the_operators_list_replaces_the_catalogue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(offered.VARIABLE, f"gpt2, someone/small ,{tmp_path}")
    assert not (refusal("openai-community/gpt2") or refusal("someone/small") or refusal(str(tmp_path)))
    assert "choose one of gpt2, someone/small" in refusal("Qwen3-0.6B")
    assert [card.id for card in offered.cards()] == ["gpt2", "someone/small", str(tmp_path)]


@pytest.mark.usefixtures("_strangers")
def test_a_star_allows_every_model_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(offered.VARIABLE, "gpt2,*")
    assert not refusal("someone/large")
    assert [card.id for card in offered.cards()] == ["gpt2"]


def test_a_private_server_allows_any_model_until_it_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (offered.VARIABLE, public_server.VARIABLE, "SPACE_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(public_server, "_declared", threading.Event())
    assert not refusal("someone/large")
    public_server.declare()
    assert refusal("someone/large")
    monkeypatch.setenv(public_server.VARIABLE, "0")
    assert not refusal("someone/large")


def test_a_list_with_an_invalid_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(offered.VARIABLE, "gpt2,what is this")
    with pytest.raises(BadInput, match="is no model"):
        offered.listed()
