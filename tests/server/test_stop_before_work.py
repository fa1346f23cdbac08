"""Stop ends a run whose model is being loaded, or whose chat template is being rendered, and neither looks at Stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest

from kvdemo.core.events import Finished
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.resident_model import ResidentModel
from kvdemo.server.service import Service
from tests.server.downloads.test_runs import wait_until

pytestmark = pytest.mark.usefixtures("quick_limits")

FORM: dict[str, Any] = {"prompt": "The fox", "chat": False, "max_new_tokens": 3, "ignore_eos": True}
RACE = {**FORM, "strategies": "no_cache"}
MEASURE = {**FORM, "strategies": "no_cache", "repeats": 1, "warmup": 0, "sweep_prompt": []}
INSIDE = {"prompt": "The fox", "panels": "steps"}
RUNS: dict[str, Callable[[Service], Iterator[Any]]] = {
    "race": lambda service: service.race(RACE, "stopped"),
    "measure": lambda service: service.measure(MEASURE, "stopped"),
    "inside": lambda service: service.inside(INSIDE, "stopped"),
}


class Held:
    """A function that waits, where it is called, until it is let go."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.called, self.let_go = function, threading.Event(), threading.Event()

    def __call__(self, *given: Any, **more: Any) -> Any:
        self.called.set()
        assert self.let_go.wait(60)
        return self.function(*given, **more)


@pytest.fixture(params=["loading", "rendering"])
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    owner, name = (ResidentModel, "get") if request.param == "loading" else (LoadedModel, "prompt")
    held = Held(getattr(owner, name))
    monkeypatch.setattr(owner, name, partialmethod(held))
    yield held
    held.let_go.set()


@pytest.mark.parametrize("run", RUNS)
def test_a_run_that_is_stopped_before_its_model_and_prompt_are_there_ends_at_once(
    held: Held, run: str, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KVDEMO_CACHE_DIR", str(tmp_path))
    service = Service(str(tiny_folder), device="cpu")
    ended = threading.Event()

    def listen() -> None:
        for _ in RUNS[run](service):
            pass
        ended.set()

    listener = threading.Thread(target=listen)
    listener.start()
    assert held.called.wait(60)
    assert not ended.wait(1)
    service.stop("stopped")
    assert ended.wait(20)  # half a second on a machine with nothing else to do
    assert service.health()["runs"] == 0  # the visitor may start another
    held.let_go.set()
    listener.join()
    *_, last = service.race(RACE, "next")  # waits until the device is free
    assert isinstance(last[-1], Finished)
    assert last[-1].document["lanes"][0]["status"] == "done"
    wait_until(lambda: any(service.race(RACE, "stopped")))  # what was left of the run is over, and its flag gone
    service.close()
