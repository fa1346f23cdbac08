"""A race that other machines compute takes no turn on the device, whoever has it and whatever model it asks for."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kvdemo.core.events import Finished, RaceEvent, TokensCommitted
from kvdemo.core.visitor import Visitor
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.resident_model import ResidentModel
from kvdemo.server.run_events import race_feed
from kvdemo.server.service import Service
from tests.server.rests import noted_rests
from tests.tiny_models import save

pytestmark = pytest.mark.slow

FORM: dict[str, Any] = {"prompt": "The fox", "chat": False, "max_new_tokens": 3, "ignore_eos": True}
WORDS = (" jumps", " over", " it")


class _Engine(BaseHTTPRequestHandler):
    """Streams the same three words to whoever asks for a text."""

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for word in WORDS:
            logprobs = {"tokens": [word], "token_logprobs": [-0.5], "top_logprobs": None, "text_offset": [0]}
            choice = {"index": 0, "text": word, "finish_reason": None, "logprobs": logprobs}
            chunk = {"id": "1", "object": "text_completion", "created": 0, "model": "m", "choices": [choice]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Engine) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("KVDEMO_REMOTE_URL", f"http://127.0.0.1:{server.server_port}/v1")
        monkeypatch.setenv("KVDEMO_REMOTE_MODEL", "m")
        yield
        server.shutdown()


def raced(service: Service, **more: Any) -> dict[str, Any]:
    """The document of a race of a remote lane alone, which is told of no wait."""
    events = [event for batch in service.race(FORM | {"strategies": "remote"} | more, "r") for event in batch]
    assert not any("Waiting" in getattr(event, "text", "") for event in events)
    assert isinstance(events[-1], Finished)
    (lane,) = events[-1].document["lanes"]
    assert (lane["status"], lane["text"]) == ("done", "".join(WORDS))
    return dict(events[-1].document)


def test_another_model_than_the_one_that_is_held_is_not_loaded_for_it(
    tiny_folder: Path, tiny_gpt2: LoadedModel, tmp_path: Path
) -> None:
    other = str(save(tiny_gpt2, tmp_path))
    service = Service(str(tiny_folder), device="cpu")
    service.preload()
    held = service.held
    with closing(service.race(FORM | {"strategies": "no_cache", "max_new_tokens": 1500}, "long")) as here:
        events: list[RaceEvent] = []
        while not any(isinstance(event, TokensCommitted) for event in events):
            events += next(here)
        document = raced(service, model=other)
        assert next(here)  # the device was not taken from who has it
    assert service.held is held
    assert service.status()["model"]["id"] == held.id  # type: ignore[union-attr]
    asked = list(service.race(FORM | {"strategies": "no_cache", "model": other}, "loaded"))[-1][-1].document
    for entry in ("model", "prompt"):  # as if it had been loaded
        assert document[entry] == asked[entry]


def test_a_model_that_is_just_being_loaded_is_not_waited_for(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading, load = threading.Event(), threading.Event()
    there = ResidentModel.get

    def slowly(self: ResidentModel, *names: Any, **more: Any) -> LoadedModel:
        loading.set()
        assert load.wait(60)
        return there(self, *names, **more)

    monkeypatch.setattr(ResidentModel, "get", slowly)
    service = Service(str(tiny_folder), device="cpu")
    preload = threading.Thread(target=service.preload)
    preload.start()
    assert loading.wait(60)
    try:
        assert raced(service)["model"]["layers"] == 2
        assert service.held is None
    finally:
        load.set()
        preload.join()


def test_a_shape_with_random_weights_draws_none_for_it(tiny_folder: Path) -> None:
    service = Service(str(tiny_folder), device="cpu")
    model = raced(service, model="random:gpt2")["model"]
    assert (model["layers"], model["parameters"]) == (12, 124_439_808)
    assert service.held is None


def rested_lanes(service: Service, monkeypatch: pytest.MonkeyPatch, strategies: str) -> list[int | None]:
    """The lanes after whose events a page's race rests, None for its start; it would rest after each event."""
    monkeypatch.setattr(race_feed, "takes_all_cores", lambda: True)
    monkeypatch.setattr(race_feed, "EVERY_SECONDS", 0)
    rested = noted_rests(monkeypatch)
    events = service.race(FORM | {"strategies": strategies}, "r", Visitor("a page", keeps=True))
    assert isinstance([event for batch in events for event in batch][-1], Finished)
    return [getattr(event, "lane", None) for event, seconds in rested if seconds]


def test_a_race_rests_after_no_step_that_another_machine_computed(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(str(tiny_folder), device="cpu")
    assert set(rested_lanes(service, monkeypatch, "dynamic_cache,remote")) == {None, 0}
    assert rested_lanes(service, monkeypatch, "remote") == []
