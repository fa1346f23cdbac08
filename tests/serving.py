"""The real app in a process of its own, as `python app.py` starts it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
PATIENCE_SECONDS = 120


@contextmanager
def served(
    settings: dict[str, str] | None = None, program: tuple[str, ...] = ("app.py",), log: Path | None = None
) -> Iterator[str]:
    """The address of an app whose page is up; its environment is this process's and `settings`.

    program  what Python runs: the app, unless given
    log      a file for all that it writes; unless given, what it logs goes where this process logs
    """
    with running(settings, program, log=log) as (url, _):
        yield url


@contextmanager
def running(
    settings: dict[str, str] | None = None,
    program: tuple[str, ...] = ("app.py",),
    port: int = 0,
    log: Path | None = None,
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address of an app and its process, as `served`; on a port of its own, unless one is given."""
    port = port or free_port()
    environment = os.environ | {"GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"} | (settings or {})
    written = log.open("wb") if log else None
    app = subprocess.Popen(
        [sys.executable, *program], cwd=ROOT, env=environment, stdout=written or subprocess.DEVNULL, stderr=written
    )
    try:
        url = f"http://127.0.0.1:{port}/"
        wait_for(url, app)
        yield url, app
    finally:
        app.terminate()
        app.wait()
        if written:
            written.close()


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, app: subprocess.Popen[bytes]) -> None:
    """Wait until a program answers at its address."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while app.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - loopback
                answer.read()
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.02)
    raise RuntimeError(f"nothing came up at {url} within {PATIENCE_SECONDS} s")
