import gc
import threading
import weakref
from pathlib import Path

import pytest
import torch

from kvdemo.models import loading
from kvdemo.models.resident_model import ResidentModel
from tests.models.saved import refusal, save_llama

pytestmark = pytest.mark.slow


@pytest.fixture
def folders(tmp_path) -> list[str]:
    return [str(save_llama(tmp_path / name)) for name in ("a", "b")]


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """The names of what is read into memory, in order."""
    names: list[str] = []
    really_read = loading.read

    def read(name, *args, **options):
        names.append(name)
        return really_read(name, *args, **options)

    monkeypatch.setattr(loading, "read", read)
    return names


def test_a_model_is_loaded_once_and_then_kept(folders, reads):
    keeper = ResidentModel("cpu")
    assert keeper.current is None
    first = keeper.get(folders[0])
    assert keeper.get(folders[0]) is first is keeper.current
    assert keeper.get(folders[0], dtype="bfloat16").dtype == torch.bfloat16
    assert keeper.get(folders[0], "cpu", "auto").dtype == torch.float32
    assert reads == [folders[0]] * 3


def test_the_previous_model_is_freed_before_the_next_is_loaded(folders, monkeypatch):
    keeper = ResidentModel("cpu")
    previous = weakref.ref(keeper.get(folders[0]).network)
    really_read, alive = loading.read, []

    def read(*args, **options):
        alive.append(previous() is not None)
        return really_read(*args, **options)

    monkeypatch.setattr(loading, "read", read)
    assert keeper.get(folders[1]).id == folders[1]
    assert alive == [False]


def test_an_unknown_name_keeps_the_loaded_model(folders):
    keeper = ResidentModel("cpu")
    held = keeper.get(folders[0])
    refusal(lambda: keeper.get("no such model"))
    refusal(lambda: keeper.get("/nowhere"))
    refusal(lambda: keeper.get(folders[0], device="tpu"))
    assert keeper.current is held


def test_after_a_failed_load_there_is_no_model_and_the_next_request_works(folders):
    keeper = ResidentModel("cpu")
    keeper.get(folders[0])
    weights = Path(folders[1], "model.safetensors")
    whole = weights.read_bytes()
    weights.write_bytes(b"damaged")
    refusal(lambda: keeper.get(folders[1]))
    assert keeper.current is None
    assert keeper.get(folders[0]).id == folders[0]
    weights.write_bytes(whole)
    assert keeper.get(folders[1]).id == folders[1]


def test_many_threads_share_one_model(folders, reads):
    keeper, got = ResidentModel("cpu"), []
    threads = [threading.Thread(target=lambda: got.append(keeper.get(folders[0]))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(got) == 8
    assert len({id(model) for model in got}) == 1
    assert reads == [folders[0]]


def test_a_replaced_model_is_freed(folders):
    keeper = ResidentModel("cpu")
    network = weakref.ref(keeper.get(folders[0]).network)
    del keeper
    gc.collect()
    assert network() is None


def test_folders_are_refused_when_they_are_not_allowed(folders):
    keeper = ResidentModel("cpu", allow_folders=False)
    assert "Folders of this server" in refusal(lambda: keeper.get(folders[0]))
