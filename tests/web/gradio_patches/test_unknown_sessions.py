"""One visitor's event ends nobody else's: the queue goes on whatever session it was asked for under."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from kvdemo.web.gradio_patches.unknown_sessions import LONGEST_NAME, MARK, MARKED, TOO_LONG, steady
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


@pytest.mark.slow  # it starts a server
def test_an_event_of_an_empty_session_name_does_not_end_other_events() -> None:
    with scripted_page(ScriptedBackend()) as url:
        assert in_a_loop(joined_without_a_name(url))["success"]


async def joined_under_a_long_name(url: str) -> tuple[httpx.Response, httpx.Response]:
    async with httpx.AsyncClient(timeout=60) as client:
        await Program(client, url, "x" * LONGEST_NAME).last("strategies")
        return (
            await Program(client, url, "x" * (LONGEST_NAME + 1)).join("strategies"),
            await client.post(f"{url}gradio_api/run/candidates", json={"data": [], "session_hash": "x" * 20_000}),
        )


@pytest.mark.slow  # it starts a server
def test_a_session_whose_name_would_fill_the_memory_is_refused_in_a_sentence() -> None:
    """Gradio keeps the name of each session as long as it runs."""
    with scripted_page(ScriptedBackend()) as url:
        queued, direct = in_a_loop(joined_under_a_long_name(url))
    assert (queued.status_code, queued.json()["detail"]) == (400, TOO_LONG)
    assert direct.status_code == 413


async def cancelled_while_a_marked_session_asks(url: str) -> tuple[httpx.Response, httpx.Response]:
    async with httpx.AsyncClient(timeout=60) as client:
        joined = await Program(client, url, f"a{MARK}b").join("race")
        await asyncio.sleep(0.3)  # its event would be under way now: a run waits for its listener
        cancel = {"session_hash": "x", "fn_index": 0, "event_id": "e"}
        return joined, await client.post(f"{url}gradio_api/cancel", json=cancel)


@pytest.mark.slow  # it starts a server
def test_no_session_name_keeps_others_from_cancelling() -> None:
    with scripted_page(ScriptedBackend()) as url:
        joined, cancelled = in_a_loop(cancelled_while_a_marked_session_asks(url))
    assert (joined.status_code, joined.json().get("detail")) == (400, MARKED)
    assert cancelled.status_code == 200


def test_a_message_to_a_forgotten_session_is_dropped() -> None:
    said: list[Any] = []
    queue = SimpleNamespace(pending_messages_per_session={"here": 1}, push=None)
    queue.send_message = lambda event, message: said.append((event.session_hash, message))
    steady(SimpleNamespace(_queue=queue))  # type: ignore[arg-type]
    for session in ("here", "gone"):
        queue.send_message(SimpleNamespace(session_hash=session), "word")
    assert said == [("here", "word")]
