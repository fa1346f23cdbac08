"""A real app, and a visitor who begins requests and never ends them: he fills no memory, and others are served."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest

from kvdemo.web.guard.connections import MOST_SILENT
from kvdemo.web.guard.open_requests import HEAVY

pytestmark = pytest.mark.slow

JOIN = "/gradio_api/queue/join"
PIECE, ANNOUNCED = 3_900_000, 3_999_999


def opened(url: str) -> socket.socket:
    at = urlsplit(url)
    connection = socket.create_connection((at.hostname, at.port), timeout=60)
    connection.settimeout(60)
    return connection


def begin(connection: socket.socket, address: str) -> None:
    """Send a request all but to its end."""
    head = (
        f"POST {JOIN} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {address}\r\nContent-Length: {ANNOUNCED}\r\n\r\n"
    )
    connection.sendall(head.encode() + b'"' + b"x" * PIECE)


def test_large_requests_without_an_end_are_refused_to_their_sender_and_to_nobody_else(tiny_app: str) -> None:
    with ExitStack() as connections:
        begun = [connections.enter_context(opened(tiny_app)) for _ in range(4)]
        for connection in begun:
            begin(connection, "203.0.113.20")
        answers = [connection.recv(100_000) for connection in begun if is_answered(connection)]
        assert len(answers) == 1
        assert answers[0].startswith(b"HTTP/1.1 429 ")
        assert HEAVY.encode() in answers[0]
        other = httpx.post(
            f"{tiny_app}gradio_api/call/models", content=b'"' + b"x" * PIECE + b'"' ,
            headers={"X-Forwarded-For": "203.0.113.21"}, timeout=60,
        )  # fmt: skip
        assert other.status_code not in (413, 429)


def is_answered(connection: socket.socket) -> bool:
    """Tell whether something comes within a second."""
    connection.settimeout(1)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return False


def test_of_many_connections_that_ask_nothing_the_oldest_end_and_a_visitor_is_served(tiny_app: str) -> None:
    with ExitStack() as connections:
        silent = [connections.enter_context(opened(tiny_app)) for _ in range(MOST_SILENT + 20)]
        assert httpx.get(f"{tiny_app}healthz", timeout=60).status_code == 200
        assert has_ended(silent[0])
        assert not is_answered(silent[-1])


def has_ended(connection: socket.socket) -> bool:
    """Tell whether the other side has ended the connection."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
