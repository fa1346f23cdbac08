"""Runs go through the worker of `spaces`: it is lent a GPU for the seconds asked for, and gives it back."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from tests.programs import Program
from tests.serving import served
from tests.web.loops import in_a_loop

pytestmark = pytest.mark.slow

FORM: dict[str, Any] = {"prompt": "Hi", "max_new_tokens": 6, "strategies": ["no_cache", "dynamic_cache"], "chat": False,
                        "ignore_eos": True}  # fmt: skip
PATIENCE_SECONDS = 30
GPU = {"nvidiaIndex": 0, "nvidiaUUID": "GPU-in-the-test", "allowToken": "allowed"}


def token_of(visitor: str) -> str:
    """What the proxy of a Space adds to a visitor's requests: a JSON Web Token."""
    payload = base64.urlsafe_b64encode(json.dumps({"user": visitor}).encode()).decode().rstrip("=")
    return f"header.{payload}.signature"


@dataclass
class DeviceApi:
    """Stands in for Hugging Face's: lends its one GPU, and notes what it is asked.

    `left` are the seconds that a visitor has left where that is less than what is asked for. A process that had the GPU
    before keeps it warm (`idle`).
    """

    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    left: int | None = None

    def answer(self, path: str, given: dict[str, str]) -> tuple[int, Any]:
        idle = any(there == "/allow" for there, _ in self.asked)
        self.asked.append((path, given))
        if path != "/schedule":
            return 200, None
        if self.left is not None and int(given["durationSeconds"]) > self.left:
            return 429, {"left": self.left, "wait": 3600}
        return 200, GPU | {"idle": idle}

    def of(self, path: str) -> list[dict[str, str]]:
        return [given for there, given in self.asked if there == path]


@pytest.fixture(scope="module")
def api() -> Iterator[tuple[DeviceApi, str]]:
    lender = DeviceApi()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            url = urlsplit(self.path)
            code, body = lender.answer(url.path, dict(parse_qsl(url.query)))
            content = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield lender, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def url(api: tuple[DeviceApi, str], tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    settings = {
        "SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": api[1], "ZEROGPU_OFFLOAD_DIR": str(home / "packed"),
        "HOME": str(home), "KVDEMO_MODEL": str(tiny_folder), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    with served(settings, ("-m", "tests.server.zerogpu_space")) as address:
        yield address


@pytest.fixture
def lender(api: tuple[DeviceApi, str]) -> DeviceApi:
    api[0].left = None
    return api[0]


Run = Callable[[Callable[[Program], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture
def run(url: str) -> Run:
    """Do something as a visitor who is signed in."""

    async def visited(what: Callable[[Program], Coroutine[Any, Any, Any]]) -> Any:
        async with httpx.AsyncClient(timeout=120, headers={"x-ip-token": token_of("ada")}) as client:
            return await what(Program(client, url, f"session{time.monotonic_ns()}"))

    return lambda what: in_a_loop(visited(what))


def document(message: dict[str, Any]) -> dict[str, Any]:
    assert message["success"], message
    return dict(message["output"]["data"][0])


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_race_runs_with_its_visitors_token_and_the_next_asks_for_what_it_measured(
    run: Run, lender: DeviceApi
) -> None:
    raced = document(run(lambda visitor: visitor.last("race", **FORM)))
    assert [len(lane["tokens"]) for lane in raced["lanes"]] == [6, 6]
    assert len({tuple(lane["tokens"]) for lane in raced["lanes"]}) == 1  # the weights came through the file unharmed
    assert raced["verdict"]["headline"]
    (asked,) = lender.of("/schedule")
    assert (asked["token"], asked["tokenVersion"]) == (token_of("ada"), "2")
    assert 10 < int(asked["durationSeconds"]) < 120
    until(lambda: len(lender.of("/release")) == 1)

    again = document(run(lambda visitor: visitor.last("race", **FORM)))
    assert [lane["tokens"] for lane in again["lanes"]] == [lane["tokens"] for lane in raced["lanes"]]
    until(lambda: len(lender.of("/release")) == 2)
    assert len(lender.of("/allow")) == 1  # the process of the first race had the second one, too


def test_a_measurement_runs_in_the_gpu_process(run: Run) -> None:
    form = {key: value for key, value in FORM.items() if key != "ignore_eos"}
    measured = document(run(lambda visitor: visitor.last("measure", **form, repeats=1, warmup=1)))
    assert (measured["kind"], measured["status"]) == ("measure", "done")


def test_a_zerogpu_refusal_states_the_largest_token_count_that_fits(run: Run, lender: DeviceApi) -> None:
    lender.left = 11
    refused = run(lambda visitor: visitor.last("race", **FORM | {"max_new_tokens": 2000}))
    assert not refused["success"]
    said = refused["output"]["error"]
    assert "vs. 11s left" in said
    assert "Or ask for at most " in said


def test_a_visitor_who_leaves_releases_the_gpu(run: Run, lender: DeviceApi) -> None:
    before = len(lender.of("/release"))

    async def leave(visitor: Program) -> None:
        await visitor.join("race", **FORM | {"max_new_tokens": 2000})
        async for message in visitor.messages():
            if message["msg"] == "process_generating":
                return

    run(leave)
    until(lambda: len(lender.of("/release")) > before)
