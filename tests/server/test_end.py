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


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_terminated_server_leaves_no_files_or_processes(
    how: signal.Signals, tiny_folder: Path, tmp_path: Path
) -> None:
    port, left = free_port(), tmp_path / "temporary"
    left.mkdir()
    more = {
        "GRADIO_SERVER_PORT": str(port), "KVDEMO_MODEL": str(tiny_folder), "KVDEMO_DEVICE": "cpu", "TMPDIR": str(left),
    }  # fmt: skip
    server = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=os.environ | more, stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}/"
        wait_for(url, server)
        while not _is_ready(url):
            time.sleep(0.1)
        children = psutil.Process(server.pid).children(recursive=True)
        assert children
        server.send_signal(how)
        assert server.wait(5) in (0, 1, 130, -how)
    finally:
        server.kill()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive
    assert not [path.name for path in left.rglob("*") if path.name.startswith(("kvdemo-", "tmp"))]


def _is_ready(url: str) -> bool:
    return bool(httpx.get(f"{url}healthz", timeout=30).json()["state"] == "ready")
