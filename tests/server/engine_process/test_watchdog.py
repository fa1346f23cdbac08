"""A run that hangs ends the engine's process, and one that ends in time does not."""

import subprocess
import sys

import pytest

from kvdemo.server.engine_process.messages import DISOBEYED

pytestmark = pytest.mark.slow

STUCK = """
from kvdemo.server.engine_process import watchdog
class Service:
    overdue = staticmethod(lambda: {seconds})
watchdog.watch(Service())
"""


def test_a_run_that_ignores_stop_ends_the_process() -> None:
    ended = subprocess.run([sys.executable, "-c", STUCK.format(seconds=1000)], check=False, timeout=60)
    assert ended.returncode == DISOBEYED


def test_a_run_within_its_time_to_stop_does_not_end_the_process() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([sys.executable, "-c", STUCK.format(seconds=1)], check=False, timeout=10)
