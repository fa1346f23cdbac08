"""Remote engines that are stuck, an app that races against them, and a visitor who presses Stop."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.programs import Program
from tests.serving import served

#: An engine is waited for a minute, and is asked twice in a race.
PATIENCE_SECONDS = 50
SHORT: dict[str, Any] = {"prompt": "The fox", "max_new_tokens": 4, "ignore_eos": True, "chat": False,
                         "strategies": ["dynamic_cache"]}  # fmt: skip
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
EVENT = b'data: {"id": "a", "object": "text_completion", "created": 1, "model": "m", "choices": ['
#: Python runs this first wherever it is found: the address of that name is looked for without end.
SLOW_NAMES = """
import socket, time
ask = socket.getaddrinfo
socket.getaddrinfo = lambda host, *more, **named: (host in ("slow.test", b"slow.test") and time.sleep(600)) or ask(
    host, *more, **named)
"""
#: What an engine sends at once, and what it sends a byte a second, once it has been asked.
STUCK = {"silent": (b"", b""), "headers": (b"", HEAD), "trickle": (HEAD, EVENT), "stalls": (HEAD + EVENT, b"")}


@contextmanager
def engine(at_once: bytes, slowly: bytes) -> Iterator[str]:
    """The address of an engine that takes every connection and finishes no answer."""
    over = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection:
            connection.recv(65536)
            for part in (at_once, *(slowly[n : n + 1] for n in range(len(slowly)))):
                try:
                    connection.sendall(part)
                except OSError:
                    return
                over.wait(1)
            over.wait()

    def accept() -> None:
        while not over.is_set():
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        over.set()


#: The lanes of a race that gets stuck.
LANES = (
    "no_cache,remote",
    "remote",
    "no_cache,remote:concurrency=4",
    *(f"no_cache,remote:engine={name}" for name in ("headers", "trickle", "stalls", "slow")),
    "no_cache,remote:engine=trickle:concurrency=4",
)


@contextmanager
def served_beside_stuck_engines(model: Path, folder: Path) -> Iterator[str]:
    """The address of an app whose remote engines are all stuck; `folder` is empty."""
    (folder / "sitecustomize.py").write_text(SLOW_NAMES)
    with ExitStack() as engines:
        urls = {name: engines.enter_context(engine(*sends)) for name, sends in STUCK.items()}
        others = {name: url for name, url in urls.items() if name != "silent"} | {"slow": "http://slow.test:9/v1"}
        settings = {
            "KVDEMO_MODEL": str(model), "KVDEMO_DEVICE": "cpu", "PYTHONPATH": str(folder),
            "KVDEMO_REMOTE_URL": urls["silent"], "KVDEMO_REMOTE_MODEL": "m",
            "KVDEMO_REMOTE_URLS": ",".join(f"{name}={url}" for name, url in others.items()),
            **{f"KVDEMO_REMOTE_MODEL_{name.upper()}": "m" for name in others},
        }  # fmt: skip
        with served(settings) as url:
            yield url


async def stopped_after(app: str, lanes: str) -> float:
    """Race, let somebody else race meanwhile, and press Stop: the seconds until the race is over."""
    async with httpx.AsyncClient(timeout=httpx.Timeout(120)) as client:
        other, one = Program(client, app, "other"), Program(client, app, lanes)
        assert (await other.last("race", **SHORT))["success"]  # the model is loaded
        filled = {"kv-prompt": "The fox", "kv-lanes": lanes, "kv-tokens": 8, "kv-chat": False}
        (await one.use("kv-race", "click", filled)).raise_for_status()
        begun, ended = asyncio.Event(), asyncio.Event()

        async def listen() -> None:
            async for message in one.messages():
                if "prompt_tokens" in json.dumps(message):
                    begun.set()
                if message["msg"] == "process_completed" and begun.is_set():
                    ended.set()

        listening = asyncio.create_task(listen())
        await soon(begun.wait())
        assert (await soon(other.last("race", **SHORT)))["success"]
        await asyncio.sleep(2)  # the engine has been asked
        assert not ended.is_set()
        stopped = time.monotonic()
        (await one.use("kv-stop", "click")).raise_for_status()
        await soon(listening)
        return time.monotonic() - stopped


async def soon(coming: Any) -> Any:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await coming
