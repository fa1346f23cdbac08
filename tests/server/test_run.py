"""A run whose model is loaded without end, or whose prompt is made without end, is overdue when its time is over."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from kvdemo.server import run as server_run
from kvdemo.server.limits import Limits
from kvdemo.server.service import Service
from tests.server.downloads.test_runs import wait_until
from tests.server.test_stop_before_work import RUNS, Held, held

__all__ = ["held"]

pytestmark = pytest.mark.usefixtures("quick_limits")


@pytest.mark.parametrize("run", RUNS)
def test_a_run_that_is_prepared_for_too_long_is_overdue(
    held: Held, run: str, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KVDEMO_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(server_run, "LOADING_SECONDS", 0)
    service = Service(
        str(tiny_folder), device="cpu", limits=Limits(race_seconds=1, measure_seconds=1, inside_seconds=1)
    )
    listener = threading.Thread(target=lambda: list(RUNS[run](service)))
    listener.start()
    assert held.called.wait(60)
    wait_until(lambda: service.overdue() > 0)
    held.let_go.set()
    listener.join(60)
    assert not listener.is_alive()
    assert service.overdue() == 0
    service.close()
