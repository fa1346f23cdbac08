"""One visitor's event ends nobody else's: the queue goes on whatever session it was asked for under."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx

from kvdemo.web.gradio_patches.unknown_sessions import steady
from tests.browser.scripted import scripted_page
from tests.programs import Program
from tests.web.loops import in_a_loop
from tests.web.scripted_backend import ScriptedBackend


async def joined_without_a_name(url: str) -> dict[str, Any]:
    async with httpx.AsyncClient(timeout=60) as client:
        nobody = Program(client, url, "")
        for _ in range(8):
            assert (await nobody.join("strategies")).status_code == 200
        return await Program(client, url, "next").last("strategies")


def test_an_event_of_an_empty_session_name_does_not_end_other_events() -> None:
    with scripted_page(ScriptedBackend()) as url:
        assert in_a_loop(joined_without_a_name(url))["success"]


def test_a_message_to_a_forgotten_session_is_dropped() -> None:
    said: list[Any] = []
    queue = SimpleNamespace(pending_messages_per_session={"here": 1}, push=None)
    queue.send_message = lambda event, message: said.append((event.session_hash, message))
    steady(SimpleNamespace(_queue=queue))  # type: ignore[arg-type]
    for session in ("here", "gone"):
        queue.send_message(SimpleNamespace(session_hash=session), "word")
    assert said == [("here", "word")]
