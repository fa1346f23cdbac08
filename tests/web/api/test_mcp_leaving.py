"""A client of the Model Context Protocol that leaves takes its run with it, and its visitors' limits hold for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

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
async def client(url: str) -> AsyncIterator[ClientSession]:
    async with (
        streamable_http_client(f"{url}gradio_api/mcp/") as (read, write, _),
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
