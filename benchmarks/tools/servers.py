"""Find a server's process, and wait until it has nothing left to do."""

from __future__ import annotations

import time
from contextlib import suppress

import httpx
import psutil

#: A server is at rest when it and all below it take less of a core than this, for so long.
REST_SHARE, REST_SECONDS = 0.05, 2.0


def server_at(url: str) -> psutil.Process:
    """Return the process that listens at an address of this machine."""
    port = httpx.URL(url).port
    listening = (one for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN)
    return psutil.Process(next(one.pid for one in listening if one.laddr.port == port))


def wait_for_rest(url: str) -> None:
    """Wait until a server has done what it does ahead, when its model is loaded and nobody asks for anything."""
    server = server_at(url)
    before = _seconds(server)
    while True:
        time.sleep(REST_SECONDS)
        now = _seconds(server)
        if now - before < REST_SHARE * REST_SECONDS:
            return
        before = now


def _seconds(server: psutil.Process) -> float:
    total = 0.0
    for one in (server, *server.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # it ended meanwhile
            times = one.cpu_times()
            total += times.user + times.system
    return total
