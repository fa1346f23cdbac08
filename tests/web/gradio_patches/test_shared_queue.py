"""One visitor's many small questions keep nobody else's out of the queue."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from kvdemo.web.gradio_patches.shared_queue import CROWDED, MOST, MOST_OF_ADDRESS
from tests.browser.scripted import scripted_page
from tests.programs import Program
from tests.web.loops import in_a_loop
from tests.web.scripted_backend import ScriptedBackend


async def flooded(url: str) -> tuple[list[httpx.Response], httpx.Response]:
    """The answers to one address that asks more than the queue holds, and then to another one."""
    flood, other = ({"X-Forwarded-For": f"203.0.113.{number}"} for number in (1, 2))
    async with httpx.AsyncClient(timeout=60, headers=flood) as one, httpx.AsyncClient(headers=other) as another:
        asking = Program(one, url, "flood")
        await asking.values("strategies")
        crowd = await asyncio.gather(*(asking.join("strategies") for _ in range(MOST + 200)))
        return crowd, await Program(another, url, "other").join("strategies")


@pytest.mark.slow
def test_a_flood_of_small_questions_from_one_address_leaves_room_for_others() -> None:
    with scripted_page(ScriptedBackend()) as url:
        crowd, other = in_a_loop(flooded(url))
    assert other.status_code == 200
    refused = [answer for answer in crowd if answer.status_code != 200]
    assert len(refused) > MOST - MOST_OF_ADDRESS
    assert {(answer.status_code, answer.json()["detail"]) for answer in refused} == {(503, CROWDED)}
