"""A thousand connections of somebody who sends nothing, or reads nothing, keep nobody else out."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
import uvicorn.config
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from kvdemo.web.guard import connections, headers

PATIENCE = 0.3
LARGE = 30_000_000


def test_the_limit_of_open_files_is_raised_as_far_as_it_may_be_and_never_lowered() -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, before[1]))
    try:
        connections.allow_many()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert hard == before[1]
        assert soft == (connections.MOST if hard < 0 else min(connections.MOST, hard))
        connections.allow_many()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers /large with much, /slow after a while, /read when it has the body, and all else with a word.

    Where a header is named `secret`, that is the word.
    """
    if scope["type"] != "http":
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(4 * PATIENCE)
    while scope["path"] == "/read" and (await receive()).get("more_body"):
        pass
    if b"secret" in dict(scope["headers"]):
        await PlainTextResponse("secret")(scope, receive, send)
        return
    await PlainTextResponse(b"x" * LARGE if scope["path"] == "/large" else b"word")(scope, receive, send)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The web server that Gradio starts, with little patience."""
    monkeypatch.setattr(connections, "PATIENCE_SECONDS", PATIENCE)
    monkeypatch.setattr(connections, "MOST_SILENT", 8)
    monkeypatch.setitem(uvicorn.config.HTTP_PROTOCOLS, "auto", uvicorn.config.HTTP_PROTOCOLS["auto"])
    connections.end_idle()
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield int(server.servers[0].sockets[0].getsockname()[1])
    server.should_exit = True
    thread.join()


@contextmanager
def connection(port: int, *, room: int = 100_000) -> Iterator[socket.socket]:
    """A connection with so much room for what comes."""
    with socket.socket() as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        opened.settimeout(20 * PATIENCE)
        opened.connect(("127.0.0.1", port))
        yield opened


def is_ended(opened: socket.socket, after: bytes = b"") -> bool:
    """Tell whether the other side has ended a connection by which nothing comes, or what begins with `after`."""
    came = b""
    try:
        while piece := opened.recv(1000):
            came += piece
    except ConnectionResetError:
        return True
    return came.startswith(after) if after else not came


def is_answered(opened: socket.socket, word: bytes = b"word") -> bool:
    """Tell whether an answer comes, to its end."""
    came = b""
    while not came.endswith(word):
        if not (piece := opened.recv(1000)):
            return False
        came += piece
    return True


def ask(opened: socket.socket, path: str = "/") -> None:
    opened.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: local"])
def test_a_connection_that_asks_nothing_is_ended(port: int, begun: bytes) -> None:
    with connection(port) as silent:
        silent.sendall(begun)
        assert is_ended(silent)


def test_a_request_that_comes_byte_by_byte_is_ended(port: int) -> None:
    with connection(port) as slow, pytest.raises(OSError):
        for _ in range(100):
            slow.sendall(b"x")
            time.sleep(PATIENCE / 10)


def test_a_second_request_that_never_ends_is_ended(port: int) -> None:
    with connection(port) as opened:
        ask(opened)
        assert is_answered(opened)
        opened.sendall(b"GET /")
        assert is_ended(opened)


def test_a_large_answer_that_nobody_reads_is_given_up(port: int) -> None:
    with connection(port, room=4096) as unread:
        ask(unread, "/large")
        time.sleep(4 * PATIENCE)
        came = 0
        with suppress(ConnectionResetError):
            while piece := unread.recv(1_000_000):
                came += len(piece)
        assert came < LARGE


def test_a_large_answer_that_is_read_slowly_comes_to_its_end(port: int) -> None:
    with connection(port, room=4096) as slow:
        ask(slow, "/large")
        came, began = 0, time.monotonic()
        while came < LARGE:
            piece = slow.recv(50_000)
            assert piece, "it is given up"
            came += len(piece)
            if time.monotonic() - began < 4 * PATIENCE:
                time.sleep(PATIENCE / 10)


#: In what a request may come that costs its reader much for each byte: a body, and what follows a body.
CHUNKED = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "chunks of a byte": (CHUNKED, b"1\r\nx\r\n"),
    "chunks of a byte, which are read": (CHUNKED.replace(b"POST /", b"POST /read"), b"1\r\nx\r\n"),
    "empty headers": (b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"a:\r\n"),
    "one header": (b"GET / HTTP/1.1\r\nHost: localhost\r\na: ", b"a"),
    "an address": (b"GET /", b"a"),
    "empty headers after a body": (CHUNKED + b"0\r\n", b"a:\r\n"),
    "one header after a body": (CHUNKED + b"0\r\na: ", b"a"),
    "a chunk's extension": (CHUNKED + b"1;a=", b"a"),
    "requests sent ahead": (b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "empty lines": (b"", b"\r\n"),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_others_have_their_turn_after_some_kilobytes_of_one_connection(
    port: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    received = connections.WatchedConnection.data_received
    monkeypatch.setattr(
        connections.WatchedConnection,
        "data_received",
        lambda self, data: (reads.append(len(data)), received(self, data)),
    )
    begin, more = ENDLESS[kind]
    with connection(port) as opened, suppress(OSError):
        opened.sendall(begin)
        for _ in range(4):
            opened.sendall(more * (262_144 // len(more)))
            with connection(port) as other:
                ask(other)
                assert is_answered(other)
    assert max(reads) <= 16_384


@pytest.mark.parametrize("kind", [name for name in ENDLESS if "byte" not in name and name != "empty lines"])
def test_a_request_whose_headers_do_not_end_is_refused(port: int, kind: str) -> None:
    begin, more = ENDLESS[kind]
    with connection(port) as opened:
        opened.sendall(begin)
        with suppress(OSError):
            opened.sendall(more * (200_000 // len(more)))
        assert is_ended(opened, b"HTTP/1.1 400")


@pytest.mark.parametrize("whole", [True, False])
def test_few_of_ten_thousand_headers_are_kept(port: int, monkeypatch: pytest.MonkeyPatch, whole: bool) -> None:
    """Each takes twenty times its bytes. Those of a whole request are still too many for it, and of half a one, too."""
    kept: list[int] = []
    received = connections.WatchedConnection.data_received

    def noting(self: connections.WatchedConnection, data: bytes) -> None:
        received(self, data)
        kept.append(len(self.headers))

    monkeypatch.setattr(connections.WatchedConnection, "data_received", noting)
    with connection(port) as opened:
        opened.sendall(b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 10_000 + b"\r\n" * whole)
        assert is_answered(opened) if whole else is_ended(opened)
    assert max(kept) == headers.MOST_HEADERS + 1


def test_whoever_asks_for_another_protocol_is_answered_without_a_line_in_the_log(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    with connection(port) as opened:
        opened.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        assert is_answered(opened)
    assert caplog.text == ""


def test_a_few_requests_sent_ahead_are_answered_in_their_order(port: int) -> None:
    with connection(port) as opened:
        paths = ["/slow", "/large", "/", "/"]
        opened.sendall(b"".join(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode() for path in paths))
        came = b""
        while came.count(b"HTTP/1.1 200") < len(paths) or not came.endswith(b"word"):
            piece = opened.recv(1_000_000)
            assert piece
            came += piece
        assert len(came) > LARGE
        assert came.index(b"word") < came.index(b"xxx")


def test_what_follows_a_body_is_no_header(port: int) -> None:
    with connection(port) as opened:
        opened.sendall(CHUNKED + b"1\r\nx\r\n0\r\nsecret: a\r\n\r\n")
        assert is_answered(opened)
        opened.sendall(b"GET / HTTP/1.1\r\nsecret: a\r\n\r\n")
        assert is_answered(opened, b"secret")


def test_an_answer_may_take_its_time(port: int) -> None:
    with connection(port) as waiting:
        ask(waiting, "/slow")
        assert is_answered(waiting)


def test_the_oldest_of_many_connections_that_ask_nothing_is_ended_and_the_newest_served(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PATIENCE_SECONDS", 60)
    with ExitStack() as opened:
        asked = opened.enter_context(connection(port))
        ask(asked)
        assert is_answered(asked)
        silent = [opened.enter_context(connection(port)) for _ in range(connections.MOST_SILENT + 1)]
        assert is_ended(silent[0])
        ask(silent[-1])
        assert is_answered(silent[-1])
        ask(asked)
        assert is_answered(asked)


def test_connections_that_have_asked_once_and_then_half_of_something_are_few_too(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PATIENCE_SECONDS", 60)
    with ExitStack() as opened:
        half = []
        for _ in range(connections.MOST_SILENT + 1):
            one = opened.enter_context(connection(port))
            half.append(one)
            ask(one)
            assert is_answered(one)
            one.sendall(b"GET / HTTP/1.1\r\nHost: loc")
        assert is_ended(half[0])
        half[-1].sendall(b"alhost\r\n\r\n")
        assert is_answered(half[-1])
