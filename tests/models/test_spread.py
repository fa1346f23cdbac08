"""A model that transformers spreads over several devices: main memory and the disk stand in for GPUs here."""

import importlib.util
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from kvdemo import strategies
from kvdemo.core.errors import BadInput
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import RaceRequest
from kvdemo.documents import schema
from kvdemo.measure.check import check_measurement
from kvdemo.models import loading, placement
from kvdemo.models.device import choose
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.resident_model import ResidentModel
from kvdemo.race import session

pytest.importorskip("accelerate")
FORM: dict[str, Any] = {"prompt": "The fox", "chat": False, "max_new_tokens": 6, "ignore_eos": True}


@pytest.fixture(scope="module")
def spread(tiny_folder: Path) -> LoadedModel:
    """The tiny Llama, of which main memory is told to take a part; transformers puts the rest on the disk."""
    whole = loading.load(str(tiny_folder), device="cpu").facts()["weight_bytes"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("transformers.integrations.accelerate.get_max_memory", lambda *_: {"cpu": whole * 4 // 5})
        return loading.load(str(tiny_folder), device="spread")


def raced(model: LoadedModel, *lanes: str) -> dict[str, Any]:
    request = RaceRequest.parse(FORM | {"strategies": lanes})
    document = dict(session.run(request, model, lambda _: None, threading.Event()).document)
    schema.check(document)
    return document


def test_a_race_names_the_devices_that_the_model_is_spread_over(spread: LoadedModel, tiny_folder: Path) -> None:
    document = raced(spread, "no_cache", "dynamic_cache")
    told = document["environment"]["spread"]
    assert sorted(told) == ["cpu", "disk"]
    assert min(told.values()) > 0
    assert sum(told.values()) == document["model"]["weight_bytes"]
    assert document["model"]["device"] == "cpu"
    assert [lane["status"] for lane in document["lanes"]] == ["done", "done"]
    whole = loading.load(str(tiny_folder), device="cpu")
    assert document["lanes"][1]["text"] == raced(whole, "dynamic_cache")["lanes"][0]["text"]


def test_a_model_that_fits_on_one_device_is_not_spread(tiny_folder: Path) -> None:
    model = loading.load(str(tiny_folder), device="spread")
    assert raced(model, "dynamic_cache")["environment"]["spread"] is None


def test_strategies_and_measurements_that_need_one_device_refuse_a_spread_model(spread: LoadedModel) -> None:
    assert "spread over several devices" in (strategies.get("compiled_cache").unavailable_reason(spread) or "")
    with pytest.raises(BadInput, match="spread over several devices, .* race it instead"):
        check_measurement(MeasureRequest.parse({"prompt": "Hi"}), spread)


def test_without_accelerate_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BadInput, match=r"missing here: install it \(pip install accelerate\)"):
        choose("spread", "auto")


def test_random_weights_are_not_spread() -> None:
    with pytest.raises(BadInput, match="drawn on one device"):
        loading.load("random:gpt2", device="spread")


def test_a_model_on_one_device_is_loaded_again_to_be_spread(tiny_folder: Path) -> None:
    resident = ResidentModel(allow_folders=True)
    first = resident.get(str(tiny_folder), "cpu", "float32")
    assert resident.get(str(tiny_folder), "spread", "float32") is not first


class Mapped(torch.nn.Module):
    """A network of three layers with a map as transformers writes it for two GPUs; its weights are on neither."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = torch.nn.Linear(2, 2, bias=False), torch.nn.Linear(2, 4, bias=False)
        self.layers = torch.nn.ModuleList(torch.nn.Linear(2, 2, bias=False) for _ in range(3))
        self.device = torch.device("cpu")
        self.hf_device_map = {"embed": 0, "layers.0": 0, "layers.1": 1, "layers.2": "cpu", "head": 1}


def test_a_map_over_two_gpus_and_main_memory_is_read() -> None:
    network: Any = Mapped()
    assert placement.devices(network) == (torch.device("cuda:0"), torch.device("cuda:1"))
    assert placement.bytes_on(network) == {"cuda:0": 32, "cuda:1": 48, "cpu": 16}
    shares = placement.layer_shares(network)
    assert shares == {torch.device("cuda:0"): pytest.approx(2 / 3), torch.device("cuda:1"): pytest.approx(1 / 3)}
