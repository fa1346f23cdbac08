"""A real app, and visitors who ask for more than they listen to: everybody else is served as if they were not there."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from kvdemo.web.gradio_patches.shared_queue import HEAVY
from tests.programs import Program
from tests.web.loops import in_a_loop

pytestmark = pytest.mark.slow

LONG: dict[str, Any] = {"prompt": "The quick brown fox", "max_new_tokens": 1500, "ignore_eos": True, "chat": False,
                        "strategies": ["no_cache", "reencode"]}  # fmt: skip
SHORT = {**LONG, "max_new_tokens": 4, "strategies": ["dynamic_cache"]}
PATIENCE = httpx.Timeout(120)


@asynccontextmanager
async def programs(url: str, address: str = "") -> AsyncIterator[Callable[[str], Program]]:
    headers = {"X-Forwarded-For": address} if address else {}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=PATIENCE, limits=limits, headers=headers) as client:
        yield lambda session: Program(client, url, session)


async def runs(url: str) -> int:
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        return int((await client.get(f"{url}healthz")).json()["runs"])


async def until_idle(url: str) -> None:
    deadline = time.monotonic() + 60
    while await runs(url):
        assert time.monotonic() < deadline, "runs for nobody go on"
        await asyncio.sleep(0.1)


def test_races_without_a_listener_never_start_and_block_no_visitor(tiny_app: str) -> None:
    async def attack() -> None:
        async with programs(tiny_app) as program:
            flood = program("flood")
            answers = [await flood.join("race", **LONG) for _ in range(82)]
            assert {answer.status_code for answer in answers} == {200}
            assert (await program("models").last("models"))["success"]
            done = await program("visitor").last("race", **SHORT)
            assert done["success"]
            assert done["output"]["data"][0]["lanes"][0]["tokens"]
            assert await runs(tiny_app) == 0

    in_a_loop(attack())


def test_as_many_runs_of_one_address_as_it_may_have_hold_up_no_question_of_another_visitor(tiny_app: str) -> None:
    """Gradio begins no event while forty are under way, unless it is told otherwise."""

    async def attack() -> None:
        async with programs(tiny_app) as program:
            first = program("crowd")
            await first.values("race")
            crowd = [asyncio.create_task(first.beside(f"crowd{n}").last("race", **LONG)) for n in range(48)]
            deadline = time.monotonic() + 60
            while await runs(tiny_app) < 48:
                assert time.monotonic() < deadline, "some of the runs are not begun"
                await asyncio.sleep(0.05)
            assert (await program("visitor").last("models"))["success"]
            assert await runs(tiny_app) > 40
            for one in crowd:
                one.cancel()
            await asyncio.wait(crowd)
            await until_idle(tiny_app)

    in_a_loop(attack())


def test_large_questions_that_wait_are_refused_to_their_sender_and_to_nobody_else(tiny_app: str) -> None:
    async def attack() -> None:
        config = json.dumps({"model_type": "llama", "of no use": "\U0001f600" + "a" * 3_900_000})
        async with programs(tiny_app, "203.0.113.9") as program, programs(tiny_app, "203.0.113.10") as other:
            answers = [await program(f"large {n}").use("kv-ask-plan", "ask", {"kv-p-config": config}) for n in range(5)]
            assert [answer.status_code for answer in answers] == [200] * 3 + [503] * 2
            assert answers[-1].json() == {"detail": HEAVY}
            assert (await other("visitor").last("models"))["success"]
            (await other("visitor").use("kv-ask-plan", "ask", {"kv-p-config": config})).raise_for_status()

    in_a_loop(attack())


@pytest.mark.parametrize("addresses", [("203.0.113.1", "203.0.113.2"), ("2001:db8::1", "2001:db8:1::1")])
def test_a_visitor_waits_for_one_run_of_an_address_that_has_many(tiny_app: str, addresses: tuple[str, str]) -> None:
    async def attack() -> None:
        async with programs(tiny_app, addresses[0]) as program, programs(tiny_app, addresses[1]) as other:
            first, visitor = program("crowd"), other("visitor")
            for one in (first, visitor):
                await one.values("race")
            crowd = [asyncio.create_task(first.beside(f"crowd{n}").last("race", **LONG)) for n in range(40)]
            while await runs(tiny_app) < 40:
                await asyncio.sleep(0.05)
            places: list[str] = []
            (await visitor.join("race", **SHORT)).raise_for_status()
            async for message in visitor.messages():
                places += re.findall(r"another run|\d+ runs come first", json.dumps(message))
                if message["msg"] == "process_completed":
                    assert message["success"]
            assert set(places) == {"another run"}
            assert await runs(tiny_app) > 30
            for one in crowd:
                one.cancel()
            await asyncio.wait(crowd)
            await until_idle(tiny_app)

    in_a_loop(attack())


def test_a_session_has_few_places_so_that_others_get_a_turn(tiny_app: str) -> None:
    async def attack() -> list[str]:
        async with programs(tiny_app) as program:
            greedy = program("greedy")
            for _ in range(20):
                await greedy.join("race", **LONG)
            said: list[str] = []

            async def listen() -> None:
                async for message in greedy.messages():
                    if message["msg"] == "process_completed" and not message["success"]:
                        said.append(message["output"]["error"])

            listening = asyncio.create_task(listen())
            while len(said) < 17:
                await asyncio.sleep(0.05)
            assert await runs(tiny_app) == 3
            assert (await program("models").last("models"))["success"]
            listening.cancel()
            await asyncio.wait({listening})
            assert (await program("visitor").last("race", **SHORT))["success"]
            await until_idle(tiny_app)
            return said

    said = in_a_loop(attack())
    assert set(said) == {
        "You have 3 runs under way or waiting, as many as one visitor may: stop one, or wait until one has ended."
    }


def test_a_race_ends_and_a_waiting_race_never_starts_when_its_visitor_leaves(tiny_app: str) -> None:
    async def leave() -> None:
        async with programs(tiny_app) as program:
            running, waiting = program("runs"), program("waits")
            tasks = [asyncio.create_task(one.last("race", **LONG)) for one in (running, waiting)]
            while await runs(tiny_app) < 2:
                await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await until_idle(tiny_app)
            assert (await program("next").last("race", **SHORT))["success"]

    in_a_loop(leave())


def test_the_first_request_is_served_first_even_if_it_listens_later(tiny_app: str) -> None:
    async def ask() -> None:
        async with programs(tiny_app) as program:
            running, early, late = program("runs"), program("early"), program("late")
            for one in (early, late):  # each knows the endpoints, and the model's loading is over
                assert (await one.last("race", **SHORT))["success"]
            tasks = [asyncio.create_task(running.last("race", **LONG))]
            while await runs(tiny_app) < 1:
                await asyncio.sleep(0.05)
            places = {one.session: asyncio.Queue[str]() for one in (early, late)}

            async def listen(one: Program) -> bool:
                done = False
                async for message in one.messages():
                    done = done or (message["msg"] == "process_completed" and message["success"])
                    if place := re.search(r"another run|\d+ runs come first", json.dumps(message)):
                        places[one.session].put_nowait(place[0])
                return done

            await early.join("race", **SHORT)
            await late.join("race", **SHORT)
            listening = [asyncio.create_task(listen(late))]
            assert await places["late"].get() == "another run"
            listening.append(asyncio.create_task(listen(early)))
            assert await places["early"].get() == "another run"
            assert await places["late"].get() == "2 runs come first"
            tasks[0].cancel()
            await asyncio.wait([*tasks, *listening])
            assert [one.result() for one in listening] == [True, True]

    in_a_loop(ask())


def test_a_program_that_listens_after_its_request_gets_its_race(tiny_app: str) -> None:
    async def ask() -> str:
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            url = f"{tiny_app}gradio_api/call/race"
            data = await Program(client, tiny_app, "").values("race", **SHORT)
            asked = await client.post(url, json={"data": data})
            await asyncio.sleep(1)
            return (await client.get(f"{url}/{asked.json()['event_id']}")).text

    assert "event: complete" in in_a_loop(ask())
