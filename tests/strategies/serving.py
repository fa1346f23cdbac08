"""A real server that speaks OpenAI's protocol, and a go-between that misbehaves as networks and servers do."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

from ..serving import free_port, wait_for

#: The program that docs/engines.md says was run.
SERVE = ("transformers", "serve")
#: Events of a stream on their way from the server, each a line that begins with "data:"; what comes out is sent on.
Mischief = Callable[[Iterable[bytes]], Iterable[bytes]]


@contextmanager
def transformers_serve(folder: Path) -> Iterator[str]:
    """The base address of a `transformers serve` that holds the model in a folder."""
    port = free_port()
    program = shutil.which(SERVE[0], path=str(Path(sys.executable).parent))
    command = [str(program), *SERVE[1:], str(folder), "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"http://localhost:{port}/health", server)
        yield f"http://localhost:{port}/v1"
    finally:
        server.terminate()
        server.wait()


class CutError(Exception):
    """Raised by a mischief to break the connection here."""


@dataclass
class Between:
    """A go-between in front of a server: what it was asked with which keys, and what it does to the answers.

    refuse   a status to answer every completion with, and the body
    without  fields of a request that it answers with 400, as a server does that does not know them
    """

    upstream: str
    mischief: Mischief = iter
    refuse: tuple[int, str] | None = None
    without: tuple[str, ...] = ()
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    abandoned: Event = field(default_factory=Event)
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    link: Between
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        with self._upstream(None) as answer:
            self._answer(200, answer.read().decode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = json.loads(body)
        self.link.keys.add(str(self.headers["Authorization"]).removeprefix("Bearer "))
        if self.link.refuse:
            self._answer(*self.link.refuse)
        elif unknown := [name for name in self.link.without if name in request]:
            self._answer(400, json.dumps({"error": {"message": f"unknown: {unknown}"}}))
        else:
            self.link.asked.append(request)
            self._pass_on(body)

    def _upstream(self, body: bytes | None) -> Any:
        address = self.link.upstream.removesuffix("/v1") + self.path
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})  # noqa: S310
        return urllib.request.urlopen(request)  # noqa: S310 - loopback

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def _pass_on(self, body: bytes) -> None:
        try:
            with self._upstream(body) as answer:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for line in self.link.mischief(line for line in answer if line.strip()):
                    self._chunk(line + b"\n")
                self._chunk(b"")
        except urllib.error.HTTPError as error:
            self._answer(error.code, error.read().decode())
        except (BrokenPipeError, ConnectionResetError):
            self.link.abandoned.set()
        except CutError:
            self.close_connection = True  # in the middle of the chunks

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@contextmanager
def between(upstream: str) -> Iterator[Between]:
    """Start one; its address is `url`."""
    link = Between(upstream)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"link": link}))
    server.daemon_threads = True
    Thread(target=server.serve_forever, args=[0.01], daemon=True).start()  # how often it looks whether to stop
    link.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield link
    finally:
        server.shutdown()
        server.server_close()


def changed(change: Callable[[dict[str, Any]], None]) -> Mischief:
    """Change the JSON of each event."""

    def apply(lines: Iterable[bytes]) -> Iterator[bytes]:
        for line in lines:
            event = json.loads(line.removeprefix(b"data:"))
            change(event)
            yield b"data: " + json.dumps(event).encode() + b"\n"

    return apply


def cut(after: int) -> Mischief:
    """Break the connection behind so many events."""

    def apply(lines: Iterable[bytes]) -> Iterator[bytes]:
        for number, line in enumerate(lines):
            if number == after:
                raise CutError
            yield line

    return apply


def pause(seconds: float, after: int) -> Mischief:
    """Say nothing for a while behind so many events."""

    def apply(lines: Iterable[bytes]) -> Iterator[bytes]:
        for number, line in enumerate(lines):
            if number == after:
                time.sleep(seconds)
            yield line

    return apply
