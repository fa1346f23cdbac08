"""Several engines side by side: the operator names them, a visitor chooses among the names."""

import json
import logging
from collections.abc import Iterator

import pytest

from kvdemo import strategies
from kvdemo.core.errors import BadInput
from kvdemo.core.system import logs
from kvdemo.models.loaded import LoadedModel
from kvdemo.server.questions import listings
from kvdemo.strategies.remote import named_servers
from tests.strategies.remote.conftest import raced
from tests.strategies.serving import Between, between

BOTH = ("remote:engine=vllm", "remote:engine=sglang")
KEYS = {"vllm": "sk-of-the-first", "sglang": "sk-of-the-second"}


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "URLS", "KEY", "MODEL"):
        monkeypatch.delenv(f"KVDEMO_REMOTE_{name}", raising=False)


@pytest.fixture
def two(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Between, Between]]:
    """Two engines, each behind a go-between of its own and with a key of its own."""
    with between(server) as first, between(server) as second:
        monkeypatch.setenv("KVDEMO_REMOTE_URLS", f"vllm={first.url},sglang={second.url}")
        monkeypatch.setenv("KVDEMO_REMOTE_KEY_VLLM", KEYS["vllm"])
        monkeypatch.setenv("KVDEMO_REMOTE_KEY_SGLANG", KEYS["sglang"])
        yield first, second


def test_two_engines_race_side_by_side_each_with_its_own_key(
    two: tuple[Between, Between], tiny_llama: LoadedModel, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[object] = []
    logs.configure()
    with caplog.at_level(logging.INFO), caplog.at_level(logging.DEBUG, logger="kvdemo"):
        document = raced(tiny_llama, *BOTH, emit=events.append)
    assert [lane["status"] for lane in document["lanes"]] == ["done", "done"]
    assert document["lanes"][0]["text"] == document["lanes"][1]["text"]
    assert [link.keys for link in two] == [{KEYS["vllm"]}, {KEYS["sglang"]}]
    assert [lane["options"]["engine"] for lane in document["lanes"]] == ["vllm", "sglang"]
    said = " ".join(document["verdict"]["sentences"])
    assert "Remote (vllm)" in said
    assert "Remote (sglang)" in said
    told = json.dumps(document) + repr(events) + caplog.text
    assert not any(secret in told for secret in (*KEYS.values(), two[0].url, two[1].url))


def test_an_engine_is_never_sent_the_key_of_another(
    two: tuple[Between, Between], tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KVDEMO_REMOTE_KEY", "sk-of-the-one-without-a-name")
    monkeypatch.delenv("KVDEMO_REMOTE_KEY_SGLANG")
    raced(tiny_llama, *BOTH)
    assert [link.keys for link in two] == [{KEYS["vllm"]}, {"none"}]


def test_each_engine_is_asked_for_its_own_model(
    two: tuple[Between, Between], tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KVDEMO_REMOTE_MODEL", "of/another")
    monkeypatch.setenv("KVDEMO_REMOTE_MODEL_SGLANG", "not/there")
    first, second = raced(tiny_llama, *BOTH)["lanes"]
    assert first["status"] == "done"
    assert "The remote server sglang refuses the request" in second["error"]
    assert "set KVDEMO_REMOTE_MODEL_SGLANG to a model that it has" in second["error"]
    assert [link.asked[-1]["model"] for link in two] == [two[0].asked[0]["model"], "not/there"]


def test_a_refused_key_is_named_by_its_variable(two: tuple[Between, Between], tiny_llama: LoadedModel) -> None:
    two[0].refuse = (401, json.dumps({"error": {"message": f"Incorrect API key provided: {KEYS['vllm']}"}}))
    document = raced(tiny_llama, *BOTH)
    assert document["lanes"][0]["error"].startswith(
        "The remote server vllm refuses the key: set KVDEMO_REMOTE_KEY_VLLM"
    )
    assert KEYS["vllm"] not in json.dumps(document)


@pytest.mark.parametrize("named", ["other", "http//127.0.0.1/v1", "VLLM2"])
def test_an_unknown_engine_is_refused_with_the_configured_ones(
    named: str, tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KVDEMO_REMOTE_URLS", "vllm=http://a:8000/v1,sglang=http://b:30000/v1")
    with pytest.raises(BadInput, match="choose default or vllm or sglang") as refused:
        raced(tiny_llama, f"remote:engine={named}")
    assert "://" not in str(refused.value)


def test_an_address_is_refused_as_the_name_of_an_engine(
    tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KVDEMO_REMOTE_URLS", "vllm=http://a:8000/v1")
    with pytest.raises(BadInput, match="cannot be read"):
        raced(tiny_llama, "remote:engine=http://127.0.0.1:1/v1")


def test_a_lane_without_a_name_runs_on_the_first_engine_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KVDEMO_REMOTE_URLS", "vllm=http://a:8000/v1,sglang=http://b:30000/v1")
    assert strategies.get("remote").info.name == "Remote (vllm)"
    monkeypatch.setenv("KVDEMO_REMOTE_URL", "http://c:8080/v1")
    assert strategies.get("remote").info.name == "Remote"
    assert named_servers.get("default").url == "http://c:8080/v1"
    assert list(named_servers.known()) == ["default", "vllm", "sglang"]


def test_the_form_offers_the_engines_by_name_and_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KVDEMO_REMOTE_URLS", "vllm=http://a:8000/v1,sglang=http://b:30000/v1")
    listed = next(row for row in listings.list_strategies() if row["id"] == "remote")
    assert listed["options"]["engine"]["choices"] == ("default", "vllm", "sglang")
    assert "http" not in json.dumps(listed)


@pytest.mark.parametrize(
    ("urls", "said"),
    [
        ("http://user:secret@a/v1", "KVDEMO_REMOTE_URLS cannot be read"),
        ("vLLM=http://secret/v1", "KVDEMO_REMOTE_URLS cannot be read"),
        ("a=http://secret/v1,a=http://b/v1", "two values named a"),
        ("default=http://secret/v1", "give it another name"),
    ],
)
def test_an_invalid_list_of_engines_is_refused_with_the_right_form(
    urls: str, said: str, tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KVDEMO_REMOTE_URLS", urls)
    reason = strategies.get("remote").unavailable_reason(tiny_llama) or ""
    assert said in reason
    assert "secret" not in reason


def test_the_repr_of_an_engine_holds_no_address_or_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KVDEMO_REMOTE_URLS", "vllm=http://user:secret@a:8000/v1")
    monkeypatch.setenv("KVDEMO_REMOTE_KEY_VLLM", "sk-secret")
    assert "secret" not in repr(named_servers.get("vllm"))
