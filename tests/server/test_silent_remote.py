"""A remote engine that says nothing keeps nobody waiting: not its own visitor's Stop, and not the others' races."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kvdemo.core.events import Ended, Finished, RaceEvent, Started, TokensCommitted
from kvdemo.server.service import Service

FORM: dict[str, Any] = {"prompt": "The fox", "chat": False, "max_new_tokens": 4, "ignore_eos": True}


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An engine that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("KVDEMO_REMOTE_URL", f"http://127.0.0.1:{server.getsockname()[1]}/v1")
        monkeypatch.setenv("KVDEMO_REMOTE_MODEL", "silent")
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("silent")
def test_a_race_of_remote_lanes_alone_does_not_wait_for_the_device(tiny_folder: Path) -> None:
    service = Service(str(tiny_folder), device="cpu")
    service.preload()
    long = FORM | {"strategies": "no_cache", "max_new_tokens": 1500}
    with (
        closing(service.race(long, "holds")) as here,
        closing(service.race(FORM | {"strategies": "remote"}, "r")) as there,
    ):
        while not any(isinstance(event, TokensCommitted) for event in next(here)):
            pass
        events: list[RaceEvent] = []
        while not any(isinstance(event, Started) for event in events):
            events += next(there)
        assert not any("Waiting" in getattr(event, "text", "") for event in events)
        service.stop("r")
        assert isinstance([event for batch in there for event in batch][-1], Finished)
        assert next(here)  # the device was not taken from who has it


@pytest.mark.slow
@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("lanes", ["no_cache,remote", "remote,no_cache", "remote"])
def test_others_race_while_a_remote_lane_is_silent_and_stop_ends_it(tiny_folder: Path, lanes: str) -> None:
    service = Service(str(tiny_folder), device="cpu")
    service.preload()
    events: list[RaceEvent] = []
    alone = threading.Event()

    def watch() -> None:
        for batch in service.race(FORM | {"strategies": lanes}, "waits"):
            events.extend(batch)
            if lanes == "remote" or any(isinstance(event, Ended) for event in batch):
                alone.set()  # the lanes of this machine are over

    waiting = threading.Thread(target=watch)
    waiting.start()
    assert alone.wait(60)
    other = [event for batch in service.race(FORM | {"strategies": "no_cache"}, "other") for event in batch]
    assert isinstance(other[-1], Finished)
    assert waiting.is_alive()
    service.stop("waits")
    waiting.join(20)  # the engine would be waited for three times as long
    assert not waiting.is_alive()
    assert isinstance(events[-1], Finished)
    lane = next(lane for lane in events[-1].document["lanes"] if lane["strategy"] == "remote")
    assert lane["status"] == "stopped"
    assert all(one["status"] == "done" for one in events[-1].document["lanes"] if one is not lane)
