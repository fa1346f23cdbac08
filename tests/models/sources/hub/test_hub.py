import shutil
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest
from huggingface_hub import constants, snapshot_download

from kvdemo.core.errors import BadInput
from kvdemo.models import loading
from kvdemo.models.sources import find
from kvdemo.models.sources.hub import hub
from tests.models.saved import refusal, save_bert, save_llama
from tests.models.stub_hub import COMMIT, Hub, serving

ID = "someone/small-llama"


@pytest.fixture(scope="module")
def llama(tmp_path_factory) -> Path:
    folder = save_llama(tmp_path_factory.mktemp("hub") / "llama")
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "config.json").write_text("{}")
    (folder / "README.md").write_text("read me")
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("KVDEMO_CACHE_DIR", str(tmp_path / "app"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return tmp_path / "hub-cache"


@pytest.fixture
def at(monkeypatch):
    """Point the client at an address."""

    def point(address: str) -> None:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)

    return point


@pytest.fixture
def stub(llama, at):
    answering = Hub({ID: llama})
    with serving(answering) as address:
        at(address)
        yield answering


@pytest.fixture
def hanging(at):
    """A host that takes the connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        at(f"http://127.0.0.1:{server.getsockname()[1]}")
        yield


def fetch(hub_id: str = ID):
    return hub.fetch(hub_id, lambda _: None, patience=1.5)


def test_a_model_is_downloaded_whole_pinned_and_without_its_pickle(stub, llama):
    seen = []
    source = hub.fetch(ID, seen.append)
    assert (source.kind, source.location, source.revision) == ("hub", ID, COMMIT)
    names = {path.name for path in source.folder.rglob("*")}
    assert names == {path.name for path in llama.iterdir()} - {"pytorch_model.bin", "onnx", "README.md"}
    assert not [path for path in stub.asked if path.endswith((".bin", ".md")) or "onnx" in path]
    fractions = [p.fraction for p in seen if p.fraction is not None]
    assert fractions[0] == 0
    assert fractions[-1] == pytest.approx(1)
    assert fractions == sorted(fractions)


def test_the_weights_are_downloaded_when_all_else_is_there(stub):
    """A model with all of its weights counts as whole: another server may load it from then on."""
    fetch()
    names = [address.rpartition("/")[2] for address in stub.fetched]
    assert {"tokenizer.json", "tokenizer_config.json"} <= {*names}
    assert names.index("model.safetensors") == len(names) - 1


def test_without_weights_all_but_them_is_downloaded(stub, monkeypatch):
    source = find.find(ID, lambda _: None, weights=False)
    names = {path.name for path in source.folder.iterdir()}
    assert {"config.json", "tokenizer.json"} <= names
    assert not [address for address in stub.fetched if address.endswith(".safetensors")]
    assert hub.cached(ID) is None  # the model is not whole
    assert find.find(ID, lambda _: None, weights=False, download=False).folder == source.folder
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert find.find(ID, lambda _: None, weights=False).folder == source.folder
    assert "HF_HUB_OFFLINE" in refusal(lambda: find.find(ID, lambda _: None))


def test_a_tokenizer_in_the_hubs_own_cache_is_used(stub):
    folder = fetch().folder
    (folder / "model.safetensors").unlink()
    stub.asked.clear()
    assert find.find(ID, lambda _: None, weights=False).folder == folder
    assert stub.asked == []


def test_a_tokenizer_that_is_still_on_the_way_is_not_taken_for_whole(stub):  # noqa: ARG001
    (find.find(ID, lambda _: None, weights=False).folder / "tokenizer.json").unlink()
    assert hub.cached_beside_weights(ID) is None


def test_a_downloaded_model_is_used_from_the_local_cache_without_a_request(stub):
    fetched = fetch()
    stub.asked.clear()
    source = find.find(ID, lambda _: None)
    assert (source.kind, source.folder, source.revision) == ("hub cache", fetched.folder, COMMIT)
    assert stub.asked == []


def test_a_downloaded_model_can_be_loaded(stub):  # noqa: ARG001
    assert loading.load(ID).facts()["source"] == {"kind": "hub", "location": ID}


@pytest.mark.parametrize("gone", ["model.safetensors", "tokenizer.json", "tokenizer_config.json"])
def test_an_incomplete_snapshot_is_completed(stub, gone):  # noqa: ARG001
    (fetch().folder / gone).unlink()
    assert hub.cached(ID) is None
    assert (fetch().folder / gone).exists()


def test_a_cached_pickle_alone_is_no_snapshot(stub, llama):  # noqa: ARG001
    snapshot_download(ID, allow_patterns=["*.bin", "config.json", "tokenizer*"])
    assert hub.cached(ID) is None


@pytest.mark.parametrize(
    ("address", "status", "code", "message", "said"),
    [
        (
            "/resolve/",
            401,
            "GatedRepo",
            "Access to model is restricted.",
            "is gated: accept its licence on https://hugg",
        ),
        ("/resolve/", 403, "GatedRepo", "You are not in the authorized list.", "set HF_TOKEN"),
        ("/api/", 401, None, "Invalid credentials in Authorization header", "check the token"),
        ("/api/", 404, "RepoNotFound", "Repository not found", f"has no model {ID}"),
        ("/api/", 403, None, "Access to this resource is disabled.", "was disabled"),
        ("/api/", 403, None, None, "refuses access"),
        ("/api/", 429, None, None, "wait some minutes"),
        ("/api/", 500, None, None, "fails with status 500"),
        ("/resolve/", 503, None, None, "does not answer"),
    ],
)
def test_each_refusal_says_what_to_do(stub, address, status, code, message, said):
    stub.refuse[address] = (status, code, message)
    assert said in refusal(fetch)


def test_an_unknown_model_gets_the_nearest_name(stub):  # noqa: ARG001
    assert "did you mean SmolLM2-360M-Instruct" in refusal(lambda: fetch("me/SmolLM2-36M-Instruct"))


def test_an_unusable_model_is_refused_before_its_weights_are_downloaded(stub, llama, tmp_path):
    stub.repositories["a/bert"] = save_bert(tmp_path / "bert")
    assert "BertForMaskedLM" in refusal(lambda: fetch("a/bert"))
    stub.repositories["a/pickle"] = shutil.copytree(llama, tmp_path / "pickle")
    (tmp_path / "pickle" / "model.safetensors").unlink()
    assert "pickle" in refusal(lambda: fetch("a/pickle"))
    stub.repositories["a/nothing"] = tmp_path / "empty"
    assert "no config.json" in refusal(lambda: fetch("a/nothing"))
    assert not [path for path in stub.asked if path.endswith((".safetensors", ".bin"))]


@pytest.mark.filterwarnings("ignore:Not enough free disk space")  # the client's own remark on config.json
def test_a_disk_without_room_is_found_before_the_download(stub, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 5, 5))
    assert "HF_HOME" in refusal(fetch)
    assert not [path for path in stub.asked if path.endswith(".safetensors")]


def test_a_login_page_in_place_of_the_hub_is_recognised(stub, monkeypatch):
    monkeypatch.setattr(stub, "answer", lambda _: (200, {}, b"<html>Welcome to our hotel</html>"))
    assert "check the network" in refusal(fetch)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://no-such-host.invalid", "http://[::1]:9"])
def test_an_unreachable_hub_is_given_up_within_seconds(at, address):
    at(address)
    began = time.monotonic()
    refused = refusal(lambda: find.find(ID, lambda _: None))
    # What is wrong comes first, then what to do.
    assert f"cannot be reached, and {ID} is not in the local cache: check the network, " in refused
    assert time.monotonic() - began < 5


@pytest.mark.slow  # it waits as long as a Hub that says nothing is waited for
@pytest.mark.usefixtures("hanging")
def test_a_silent_hub_is_given_up_within_seconds():
    began = time.monotonic()
    assert "does not answer" in refusal(lambda: find.find(ID, lambda _: None))
    assert time.monotonic() - began < 5


@pytest.mark.usefixtures("stub")
def test_the_hub_is_reported_as_answering():
    assert hub.answers(ID, 30)
    assert not hub.answers("someone/else", 30)


@pytest.mark.usefixtures("hanging")
def test_a_silent_hub_is_reported_as_not_answering():
    assert not hub.answers(ID, 0.2)


def test_the_offline_setting_is_obeyed_and_named(stub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in refusal(fetch)
    assert stub.asked == []


@pytest.mark.parametrize("offline", [True, False])
def test_nobody_is_told_that_the_hub_is_asked_where_it_is_not(stub, monkeypatch, offline):  # noqa: ARG001
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    told = []
    with suppress(BadInput):
        hub.fetch(ID, told.append, patience=1.5)
    assert any("Asking the Hugging Face Hub" in progress.text for progress in told) is not offline
