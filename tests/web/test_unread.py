"""A page whose visitor reads nothing loses its stream; one who reads slowly gets all of it."""

from __future__ import annotations

import asyncio
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.browser.scripted import scripted_page
from tests.programs import Program
from tests.web.loops import in_a_loop
from tests.web.measured import document
from tests.web.scripted_backend import ScriptedBackend

pytestmark = pytest.mark.slow  # each starts a server

ASKED = 24


class Large(ScriptedBackend):
    """Keeps one measurement, of which the page draws a megabyte, and counts how often it is looked for."""

    looks = 0

    def measured(self, run_id: str) -> dict[str, Any] | None:  # noqa: ARG002
        self.looks += 1
        return document() | {"prompt": {"text": "x" * 1_000_000, "tokens": []}}


def opened(url: str, session: str) -> socket.socket:
    """A stream of a session's events, with hardly any room for what comes."""
    at = urlsplit(url)
    stream = socket.socket()
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stream.settimeout(60)
    stream.connect((at.hostname, at.port))
    stream.sendall(f"GET /gradio_api/queue/data?session_hash={session} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return stream


def test_large_answers_that_nobody_reads_do_not_pile_up() -> None:
    store = Large()

    async def attack(url: str) -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            program = Program(client, url, "unread")
            await program.use("kv-measure", "reopen")
            with opened(url, "unread"):
                for _ in range(ASKED):
                    await program.use("kv-measure", "reopen")
                    await asyncio.sleep(0.05)
                await asyncio.sleep(1)
                assert store.looks < ASKED / 2
                visitor = program.beside("visitor")
                await visitor.use("kv-measure", "reopen")
                assert (await visitor.over())["success"]

    with scripted_page(store) as url:
        in_a_loop(attack(url))


def test_a_slow_reader_gets_a_large_answer_to_its_end() -> None:
    async def read_slowly(url: str) -> bytes:
        async with httpx.AsyncClient(timeout=60) as client:
            await Program(client, url, "slow").use("kv-measure", "reopen")
        read = b""
        with opened(url, "slow") as stream:
            while part := await asyncio.to_thread(stream.recv, 16_384):
                read += part
                await asyncio.sleep(0.01)
                if b"close_stream" in part:
                    break
        return read

    with scripted_page(Large()) as url:
        read = in_a_loop(read_slowly(url))
    assert read.count(b"process_completed") == 1
    assert len(read) > 2_000_000
