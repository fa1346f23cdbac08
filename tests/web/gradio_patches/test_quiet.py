"""A server must not take the processor from what is decoded in its process for what nobody needs."""

from __future__ import annotations

import resource
import time
from typing import Any

import httpx
import pytest
from gradio.queueing import Queue

from kvdemo.core.errors import BadInput
from kvdemo.web.page import build, launch_options
from tests.browser.scripted import scripted_page
from tests.programs import Program
from tests.web.loops import in_a_loop
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


@pytest.mark.slow  # it starts a server
def test_no_event_that_ends_makes_a_table_of_those_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    tables: list[Any] = []
    monkeypatch.setattr(Queue, "_get_df", staticmethod(tables.append))

    async def ask_and_fail(url: str) -> list[bool]:
        async with httpx.AsyncClient(timeout=60) as client:
            program = Program(client, url, "page")
            return [(await program.last("strategies"))["success"], (await program.last("race"))["success"]]

    with scripted_page(ScriptedBackend(refuse=BadInput("no"))) as url:
        assert in_a_loop(ask_and_fail(url)) == [True, False]
    assert not tables
