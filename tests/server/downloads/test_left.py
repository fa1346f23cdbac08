"""The whole app: a stranger names a model of the Hub and leaves while it is downloaded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.programs import Program
from tests.server.downloads.conftest import World
from tests.serving import served
from tests.web.loops import in_a_loop

pytestmark = pytest.mark.slow

FORM: dict[str, Any] = {"prompt": "The fox", "max_new_tokens": 2, "chat": False, "strategies": ["no_cache"]}


def test_a_download_whose_visitor_leaves_is_cancelled_while_others_race(world: World, tiny_folder: Path) -> None:
    world.hold()

    async def visit(url: str) -> None:
        async with httpx.AsyncClient(timeout=httpx.Timeout(120)) as client:
            leaves = asyncio.create_task(Program(client, url, "leaves").last("race", model="someone/a", **FORM))
            await until(lambda: any("padding" in path for path in world.hub.fetched))
            async with asyncio.timeout(60):
                assert (await Program(client, url, "stays").last("race", **FORM))["success"]
            refused = await Program(client, url, "asks").last("race", model="someone/large", **FORM)
            assert "does not offer 'someone/large'" in refused["output"]["error"]
            leaves.cancel()
            await asyncio.wait({leaves})
            await until(lambda: not world.kept(world.visitors) | world.kept(world.own))
            world.held.set()
            assert (await Program(client, url, "comes").last("race", model="someone/a", **FORM))["success"]

    with served({"KVDEMO_MODEL": str(tiny_folder), "KVDEMO_DEVICE": "cpu"}) as url:
        in_a_loop(visit(url))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.05)
