"""A Hugging Face Hub of one's own: the few addresses that a download asks for, with the real one's headers."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """Repositories by id (a folder of files each), and what to answer instead of them.

    refuse    (status, X-Error-Code, X-Error-Message) for addresses that match a pattern
    sizes     bytes that files of a name are said to have; None: nothing is said
    hold      half of a file whose address matches a pattern is sent, and the rest once its event is set
    broken    half of a file whose address matches one of these is sent, and the connection closed
    fetched   addresses of which a body was asked
    tokens    what was sent with each question to say who asks
    """

    repositories: dict[str, Path] = field(default_factory=dict)
    refuse: dict[str, tuple[int, str | None, str | None]] = field(default_factory=dict)
    sizes: dict[str, int | None] = field(default_factory=dict)
    hold: dict[str, threading.Event] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        path = path.partition("?")[0]
        self.asked.append(path)
        for pattern, (status, code, message) in self.refuse.items():
            if re.search(pattern, path):
                return status, {"X-Error-Code": code, "X-Error-Message": message} if code or message else {}, b""
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/\w+)?(/tree/\w+)?", path):
            folder = self.repositories.get(found[1])
            if folder is None:
                return 401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}, b""
            files = sorted(p for p in folder.rglob("*") if p.is_file())
            names = {p.relative_to(folder).as_posix(): p for p in files}
            if found[2]:
                listing = [
                    {"type": "file", "path": n, "size": p.stat().st_size, "oid": _etag(p)} for n, p in names.items()
                ]
                return 200, {}, json.dumps(listing).encode()
            siblings = [
                {"rfilename": n, "size": self.sizes.get(n, p.stat().st_size), "blobId": _etag(p)}
                for n, p in names.items()
            ]
            return 200, {}, json.dumps({"id": found[1], "sha": COMMIT, "siblings": siblings}).encode()
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/\w+/(.+)", path):
            file = self.repositories[found[1]] / found[2]
            return 200, {"X-Repo-Commit": COMMIT, "ETag": f'"{_etag(file)}"'}, file.read_bytes()
        return 404, {}, b""

    def goes_on(self, path: str) -> bool:
        """Wait after half of a file was sent; returns whether the other half is to be sent, too."""
        for pattern, event in self.hold.items():
            if re.search(pattern, path):
                event.wait()
        return not any(re.search(pattern, path) for pattern in self.broken)


def _etag(file: Path) -> str:
    return hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest()


@contextmanager
def serving(hub: Hub) -> Iterator[str]:
    """The address at which the stub answers while the body runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hub.tokens.append(self.headers["Authorization"])
            status, headers, body = hub.answer(self.path)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                if value is not None:
                    self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                hub.fetched.append(self.path)
                half = len(body) // 2
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(body[:half])
                    self.wfile.flush()
                    if hub.goes_on(self.path):
                        self.wfile.write(body[half:])
                    else:
                        self.connection.shutdown(socket.SHUT_RDWR)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
