"""A client of the Model Context Protocol that leaves takes its run with it, and a visitor's limits hold for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving import served
from tests.web.loops import in_a_loop
from tests.web.test_flood import LONG, SHORT, runs, until_idle

pytest.importorskip("mcp")  # an optional dependency

from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

pytestmark = pytest.mark.slow

MEASURE: dict[str, Any] = {
    "prompt": "The quick brown fox",
    "strategies": ["no_cache"],
    "max_new_tokens": 800,
    "repeats": 5,
}


@pytest.fixture(scope="module")
def url(tiny_folder: Path) -> Iterator[str]:
    with served({"KVDEMO_MODEL": str(tiny_folder), "KVDEMO_DEVICE": "cpu", "KVDEMO_MCP": "1"}) as address:
        yield address


@asynccontextmanager
async def client(url: str, address: str = "127.0.0.1") -> AsyncIterator[ClientSession]:
    """A client whose requests come from an address of this machine."""
    transport = httpx.AsyncHTTPTransport(local_address=address)
    async with (
        httpx.AsyncClient(transport=transport, timeout=60, follow_redirects=True) as http,
        streamable_http_client(f"{url}gradio_api/mcp/", http_client=http) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        yield session


@pytest.mark.parametrize(("tool", "given"), [("race", LONG), ("measure", MEASURE)])
def test_the_run_of_a_client_that_leaves_ends(url: str, tool: str, given: dict[str, Any]) -> None:
    async def leave() -> None:
        async def ask() -> None:
            async with client(url) as session:
                await session.call_tool(tool, given)

        asking = asyncio.create_task(ask())
        while not await runs(url):
            assert not asking.done()
            await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        assert await runs(url) == 1
        asking.cancel()
        await asyncio.wait({asking})
        await until_idle(url)
        async with client(url) as session:
            assert not (await session.call_tool("race", SHORT)).isError

    in_a_loop(leave())


def test_clients_have_separate_places_for_their_runs(url: str) -> None:
    async def race(given: dict[str, Any]) -> bool:
        async with client(url) as session:
            return bool((await session.call_tool("race", given)).isError)

    async def race_at_once() -> list[bool]:
        return list(await asyncio.gather(*(race(SHORT) for _ in range(5))))

    assert in_a_loop(race_at_once()) == [False] * 5


def slow_plans(count: int, *, layers: int) -> list[dict[str, Any]]:
    """Questions that take a second for a hundred layers: each has a configuration that nobody has asked for."""
    shape = {"model_type": "nemotron_h", "hybrid_override_pattern": "M*" * (layers // 2)}
    return [
        {"memory_gb": 24, "bandwidth_gb_s": 600, "config": json.dumps(shape | {"vocab_size": 1000 + n})}
        for n in range(count)
    ]


def test_an_address_has_few_open_questions_and_others_are_answered_meanwhile(url: str) -> None:
    async def flood() -> None:
        async with client(url, "127.0.0.2") as many, client(url) as other:
            asked = [asyncio.create_task(many.call_tool("plan", plan)) for plan in slow_plans(30, layers=100)]
            done, _ = await asyncio.wait(asked, timeout=4, return_when=asyncio.FIRST_COMPLETED)
            assert done
            assert not (await other.call_tool("models", {})).isError
            answers = [(await one).content[0].text for one in asked]
            refused = [text for text in answers if "questions from your address are open" in text]
            assert 0 < len(refused) <= 30 - 8
            assert not (await many.call_tool("models", {})).isError

    in_a_loop(flood())


def test_a_client_that_leaves_keeps_the_place_of_a_question_that_is_still_answered(url: str) -> None:
    async def come_again() -> None:
        async def ask(plan: dict[str, Any]) -> None:
            async with client(url, "127.0.0.3") as session:
                await session.call_tool("plan", plan)

        for plan in slow_plans(8, layers=4000):  # each takes all the time that it is given
            asking = asyncio.create_task(ask(plan))
            await asyncio.sleep(0.3)
            asking.cancel()
            await asyncio.wait({asking})
        async with client(url, "127.0.0.3") as session:
            answer = await session.call_tool("models", {})
            assert answer.isError
            assert "questions from your address are open" in answer.content[0].text

    in_a_loop(come_again())
