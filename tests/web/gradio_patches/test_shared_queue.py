"""One visitor's many small questions keep nobody else's out of the queue."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio.data_classes import PredictBodyInternal
from starlette.requests import Request

from kvdemo.web.gradio_patches import shared_queue
from kvdemo.web.gradio_patches.shared_queue import CROWDED, MOST, MOST_OF_ADDRESS, share_queue
from tests.browser.scripted import scripted_page
from tests.programs import Program
from tests.web.loops import in_a_loop
from tests.web.scripted_backend import ScriptedBackend


class Held(ScriptedBackend):
    """Answers no question while it is held."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()
        self.free.set()

    def strategies(self) -> list[dict[str, Any]]:
        self.free.wait()
        return super().strategies()


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
    backend = Held()
    with scripted_page(backend) as url:
        backend.free.clear()
        try:
            crowd, other = in_a_loop(flooded(url))
        finally:
            backend.free.set()
    assert other.status_code == 200
    refused = [answer for answer in crowd if answer.status_code != 200]
    assert len(refused) == len(crowd) - MOST_OF_ADDRESS
    assert {(answer.status_code, answer.json()["detail"]) for answer in refused} == {(503, CROWDED)}


def begun(*asked: str) -> list[str]:
    """Ask questions, each a function's number and its sender, and begin them; returns them in that order."""
    with gr.Blocks() as blocks:
        for _ in range(2):
            gr.Button().click(lambda: None, concurrency_limit=1)
    queue: Any = share_queue(blocks.queue())._queue

    async def ask_and_begin() -> list[str]:
        for question in asked:
            number, sender = question.split(" ", 1)
            scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "client": (sender.split()[0], 1)}
            body = PredictBodyInternal(session_hash=question, data=[], fn_index=int(number), request=None)
            assert (await queue.push(body, Request(scope), None))[0]
        taken = []
        while found := queue.get_events():
            taken.append(found[0][0].session_hash)
        return taken

    return in_a_loop(ask_and_begin())


def test_addresses_that_ask_all_they_may_leave_room_for_the_next_one() -> None:
    with gr.Blocks() as blocks:
        gr.Button().click(lambda: None, concurrency_limit=1)
    queue: Any = share_queue(blocks.queue())._queue

    async def asks(host: str, times: int) -> int:
        scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "client": (host, 1)}
        body = PredictBodyInternal(session_hash=host, data=[], fn_index=0, request=None)
        return sum([(await queue.push(body, Request(scope), None))[0] for _ in range(times)])

    async def ask() -> list[int]:
        return [await asks(f"203.0.113.{number}", MOST_OF_ADDRESS + 1) for number in range(5)]

    taken = in_a_loop(ask())
    assert taken == [300, 210, 147, 103, 72]


def test_many_slow_questions_of_one_address_keep_no_other_waiting_for_all_of_them() -> None:
    crowd = [f"0 crowd {n}" for n in range(9)]
    assert begun(*crowd, "0 other", "0 third") == [crowd[0], "0 other", "0 third", *crowd[1:]]


def test_addresses_that_ask_often_take_turns_and_each_keeps_its_order() -> None:
    assert begun("0 a 1", "0 a 2", "0 a 3", "0 b 1", "0 b 2") == ["0 a 1", "0 b 1", "0 a 2", "0 b 2", "0 a 3"]


def test_a_turn_with_one_question_is_none_with_another() -> None:
    order = begun("0 a 1", "0 a 2", "1 b 1", "1 a 1", "1 b 2")
    assert [question for question in order if question[0] == "1"] == ["1 b 1", "1 a 1", "1 b 2"]


def test_events_of_one_network_count_together_and_those_of_another_do_not() -> None:
    def address(host: str) -> str:
        return shared_queue.address_of(SimpleNamespace(client=SimpleNamespace(host=host)))

    assert address("2001:db8:1:2::1") == address("2001:db8:1:3:4:5:6:7") != address("2001:db8:2::1")
