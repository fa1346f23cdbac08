"""A server that has nothing to do must not take the processor from what is decoded in its process."""

from __future__ import annotations

import resource
import time

import pytest

from kvdemo.web.page import build, launch_options
from tests.web.scripted_backend import ScriptedBackend


@pytest.mark.slow  # it looks on for a second
def test_an_idle_server_wakes_up_rarely() -> None:
    blocks = build(ScriptedBackend())
    blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options())
    try:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
        time.sleep(1)
        woken = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before
    finally:
        blocks.close(verbose=False)
    assert woken < 300  # left to itself, it looks for events a thousand times a second
