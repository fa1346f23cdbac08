"""Two servers share a cache: both race, and neither removes what the other uses or is downloading."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from kvdemo.core.errors import BadInput
from kvdemo.models.sources.hub import hub_cache, in_use, visitors_quota
from kvdemo.server.downloads.shared import Downloads
from kvdemo.server.limits import Limits
from tests.programs import Program
from tests.server.downloads.conftest import World
from tests.server.downloads.test_runs import wait_until
from tests.server.downloads.test_shared import fetch_all
from tests.serving import served
from tests.web.loops import in_a_loop

pytestmark = pytest.mark.slow

FORM: dict[str, Any] = {"prompt": "The fox", "max_new_tokens": 2, "chat": False, "strategies": ["no_cache"]}

#: Another server: it needs a model until its standard input ends.
OTHER = """
import sys, threading
from kvdemo.server.downloads.shared import Downloads
from kvdemo.server.limits import Limits
with Downloads(Limits(), lambda: None).needed() as fetch:
    fetch(sys.argv[1], lambda _: None, threading.Event(), limited=True)
    print("there", flush=True)
    sys.stdin.read()
"""


class Other:
    """A process that downloads and then uses a model."""

    def __init__(self, hub_id: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OTHER, hub_id],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        )  # fmt: skip

    def wait_until_there(self) -> None:
        assert self.process.stdout
        assert self.process.stdout.readline() == b"there\n"

    def end(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


@pytest.fixture
def others() -> Iterator[list[Other]]:
    made: list[Other] = []
    yield made
    for one in made:
        one.process.kill()
        one.process.wait()


def small(world: World) -> Downloads:
    """A server that keeps one model."""
    return Downloads(Limits(kept_bytes=int(1.5 * world.bytes)), lambda: None)


def test_a_model_in_use_by_another_server_is_not_removed(world: World, others: list[Other]) -> None:
    others.append(Other("someone/a"))
    others[0].wait_until_there()
    with pytest.raises(BadInput, match="in use: try again later"):
        fetch_all(small(world), "someone/b")
    assert world.kept(world.visitors) == {"someone/a"}
    others[0].end()
    fetch_all(small(world), "someone/b")
    assert world.kept(world.visitors) == {"someone/b"}


def test_a_model_of_a_killed_server_can_be_removed(world: World, others: list[Other]) -> None:
    others.append(Other("someone/a"))
    others[0].wait_until_there()
    others[0].process.kill()
    others[0].process.wait()
    fetch_all(small(world), "someone/b")
    assert world.kept(world.visitors) == {"someone/b"}


def test_what_another_server_is_downloading_takes_its_room(world: World, others: list[Other]) -> None:
    """Counted is all that it will have, not what has come."""
    world.hold("someone/a/.*padding")
    others.append(Other("someone/a"))
    wait_until(lambda: hub_cache.partial_files("someone/a", world.visitors) != set())
    with pytest.raises(BadInput, match="in use: try again later"):
        fetch_all(small(world), "someone/b")
    others[0].process.kill()
    others[0].process.wait()
    fetch_all(small(world), "someone/b")  # nobody waits for the other any more
    assert hub_cache.whole("someone/b")


def test_a_download_of_another_server_survives_the_cancelled_one_of_this_server(
    world: World, others: list[Other]
) -> None:
    world.hold()
    others.append(Other("someone/a"))
    wait_until(lambda: hub_cache.partial_files("someone/a", world.visitors) != set())
    with pytest.raises(BadInput, match="not downloaded within"):
        fetch_all(Downloads(Limits(download_seconds=3), lambda: None), "someone/a")
    assert world.kept(world.visitors) == {"someone/a"}
    world.held.set()
    others[0].wait_until_there()
    assert hub_cache.whole("someone/a")


def test_a_partial_download_of_another_server_is_not_removed(
    world: World, others: list[Other], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.hold("someone/a/.*padding")
    others.append(Other("someone/a"))
    wait_until(lambda: hub_cache.partial_files("someone/a", world.visitors) != set())
    monkeypatch.setattr(visitors_quota, "LEFT_SECONDS", 0.0)  # as if the clock had been set forward
    fetch_all(Downloads(Limits(), lambda: None), "someone/b")
    world.held.set()
    others[0].wait_until_there()
    assert hub_cache.whole("someone/a")
    assert hub_cache.whole("someone/b")


def test_the_most_recently_used_model_is_kept_after_the_clock_was_set_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    server = Downloads(Limits(kept_bytes=int(2.5 * world.bytes)), lambda: None)
    for hub_id, clock in (("someone/a", now), ("someone/b", now + 10), ("someone/a", now - 86_400)):
        monkeypatch.setattr(in_use.time, "time", lambda at=clock: at)
        fetch_all(server, hub_id)
    fetch_all(server, "someone/c")
    assert world.kept(world.visitors) == {"someone/a", "someone/c"}


def test_two_apps_started_at_once_on_an_empty_cache_can_both_race(world: World, tiny_folder: Path) -> None:
    """Downloads, compiled code, eviction and stop flags, all at the same time."""
    limits = {"KVDEMO_MAX_KEPT_BYTES": str(int(1.5 * world.bytes))}
    settings = {"KVDEMO_MODEL": str(tiny_folder), "KVDEMO_DEVICE": "cpu", **limits}

    async def visit(one: str, other: str) -> None:
        async with httpx.AsyncClient(timeout=httpx.Timeout(300)) as client:

            async def race(url: str, session: str, **more: Any) -> dict[str, Any]:
                return await Program(client, url, session).last("race", **FORM | more)

            compiled = {"strategies": ["compiled_cache", "no_cache"]}
            both = await asyncio.gather(race(one, "1", **compiled), race(other, "1", **compiled))
            for over in both:
                assert over["success"], over
                assert [lane["status"] for lane in over["output"]["data"][0]["lanes"]] == ["done", "done"]
            both = await asyncio.gather(*(race(url, "2", model="someone/a") for url in (one, other)))
            assert [over["success"] for over in both] == [True, True]
            # Both hold it now: neither may remove it for another, until both hold something else.
            refused = await race(one, "3", model="someone/b")
            assert "in use" in refused["output"]["error"]
            assert (await race(one, "4"))["success"]
            refused = await race(one, "5", model="someone/b")
            assert "in use" in refused["output"]["error"]
            assert (await race(other, "6"))["success"]
            assert (await race(one, "7", model="someone/b"))["success"]

    with ExitStack() as apps, ThreadPoolExecutor(2) as threads:
        both = [served(settings) for _ in range(2)]
        started = [threads.submit(app.__enter__) for app in both]
        for app in both:
            apps.push(app)
        in_a_loop(visit(*(one.result() for one in started)))
    assert world.kept(world.visitors) == {"someone/b"}
