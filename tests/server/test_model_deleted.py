"""The folder of a model is deleted while the app runs: who needs it is told in a sentence, and others race on."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.events import Finished, Progress
from kvdemo.models.loaded import LoadedModel
from kvdemo.server.engine_process.backend import EngineBackend
from kvdemo.server.service import Service
from tests.server.engine_process.test_backend import events_of, wait_until
from tests.tiny_models import save

pytestmark = pytest.mark.slow

FORM: dict[str, Any] = {"prompt": "The fox", "max_new_tokens": 2, "chat": False, "strategies": "no_cache"}


@pytest.fixture
def doomed(tiny_llama: LoadedModel, tmp_path: Path) -> Path:
    return save(tiny_llama, tmp_path / "doomed")


def finishes(service: Service | EngineBackend, model: Path | None) -> bool:
    form = FORM if model is None else FORM | {"model": str(model)}
    return isinstance(events_of(service.race(form, "r"))[-1], Finished)


def refusal(service: Service | EngineBackend, model: Path) -> str:
    with pytest.raises(BadInput) as refused:
        events_of(service.race(FORM | {"model": str(model)}, "r"))
    return str(refused.value)


def test_a_model_deleted_between_two_races_is_named_and_others_run(tiny_folder: Path, doomed: Path) -> None:
    service = Service(str(tiny_folder), device="cpu")
    assert finishes(service, doomed)
    shutil.rmtree(doomed)
    assert finishes(service, doomed)  # it is in memory
    assert finishes(service, None)
    assert "doomed' is no folder that can be read (No such file or directory)" in refusal(service, doomed)
    assert finishes(service, None)


@pytest.mark.parametrize("gone", [("model.safetensors",), ("tokenizer.json",), ("config.json",), ()])
def test_a_model_deleted_while_it_loads_is_named_and_others_run(
    tiny_folder: Path, doomed: Path, gone: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from kvdemo.models import loading  # noqa: PLC0415

    really = loading.read

    def read(name: str, *how: Any, **more: Any) -> LoadedModel:
        def vanish(progress: Progress) -> None:
            if "into memory" in progress.text and doomed.exists():
                for file in gone:
                    (doomed / file).unlink()
                if not gone:
                    shutil.rmtree(doomed)

        return really(name, *how, **more | {"progress": vanish if name == str(doomed) else more["progress"]})

    monkeypatch.setattr(loading, "read", read)
    service = Service(str(tiny_folder), device="cpu")
    said = refusal(service, doomed)
    assert str(doomed) in said
    assert "\n" not in said
    assert finishes(service, None)


@pytest.fixture
def engine(doomed: Path) -> Iterator[EngineBackend]:
    made = EngineBackend(str(doomed), device="cpu")
    made.preload()
    wait_until(lambda: made.status()["state"] == "ready")
    yield made
    made.close()


def test_a_model_deleted_before_the_engine_restarts_is_named_and_others_run(
    engine: EngineBackend, doomed: Path, tiny_folder: Path
) -> None:
    shutil.rmtree(doomed)
    assert engine.engine.process_id
    os.kill(engine.engine.process_id, signal.SIGKILL)
    wait_until(lambda: engine.engine.restarts == 1 and engine.status()["state"] == "failed")
    assert "no folder that can be read" in engine.status()["text"]
    assert "no folder that can be read" in refusal(engine, doomed)
    assert finishes(engine, tiny_folder)
    assert engine.status()["state"] == "ready"
