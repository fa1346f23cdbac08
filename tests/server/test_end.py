"""A server that is told to end does so at once, and leaves no process and no file behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from tests.serving import ROOT, free_port, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """Where temporary files are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_terminated_server_leaves_no_files_or_processes(how: signal.Signals, tiny_folder: Path, left: Path) -> None:
    _assert_ends_clean(tiny_folder, left, how)


def test_what_killed_processes_of_a_server_left_goes_with_it_or_with_the_next_server(
    tiny_folder: Path, left: Path
) -> None:
    server, _ = _started(tiny_folder, left)
    children = psutil.Process(server.pid).children(recursive=True)
    server.kill()
    server.wait()
    psutil.wait_procs(children, timeout=20)
    assert _files(left)
    _assert_ends_clean(tiny_folder, left, signal.SIGTERM, kill_its_processes=True)


def _started(tiny_folder: Path, left: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A server that is ready and keeps its temporary files in `left`, and its address."""
    port = free_port()
    more = {
        "GRADIO_SERVER_PORT": str(port), "KVDEMO_MODEL": str(tiny_folder), "KVDEMO_DEVICE": "cpu", "TMPDIR": str(left),
    }  # fmt: skip
    server = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=os.environ | more, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/"
    wait_for(url, server)
    _wait_until_ready(url)
    return server, url


def _assert_ends_clean(tiny_folder: Path, left: Path, how: signal.Signals, *, kill_its_processes: bool = False) -> None:
    server, url = _started(tiny_folder, left)
    try:
        children = psutil.Process(server.pid).children(recursive=True)
        assert children
        if kill_its_processes:
            for child in children:
                child.kill()
            psutil.wait_procs(children)
            while not (children := psutil.Process(server.pid).children(recursive=True)):
                time.sleep(0.1)
            _wait_until_ready(url)
        server.send_signal(how)
        assert server.wait(5) in (0, 1, 130, -how)
    finally:
        server.kill()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive
    assert not _files(left)


def _files(left: Path) -> list[str]:
    """The names of what this program has made, and not what torch keeps from one start to the next."""
    return [path.name for path in left.rglob("*") if path.name.startswith(("kvdemo-", "tmp"))]


def _wait_until_ready(url: str) -> None:
    while httpx.get(f"{url}healthz", timeout=30).json()["state"] != "ready":
        time.sleep(0.1)
