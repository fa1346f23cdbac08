"""One visitor's many small questions keep nobody else's out of the queue."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio.data_classes import PredictBodyInternal
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from kvdemo.web.gradio_patches import shared_queue
from kvdemo.web.gradio_patches.kept_answers import keep_answers
from kvdemo.web.gradio_patches.shared_queue import (
    BYTES,
    CROWDED,
    EVENTS,
    HEAVY,
    MOST,
    UNHEARD,
    share_queue,
)
from kvdemo.web.guard.body import BODY_BYTES
from kvdemo.web.guard.listeners import BEGIN_SECONDS, KEY, Listeners
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
def test_a_flood_of_small_questions_from_one_address_leaves_room_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_queue, "BEGIN_SECONDS", 600.0)  # none is forgotten meanwhile
    backend = Held()
    with scripted_page(backend) as url:
        backend.free.clear()
        try:
            crowd, other = in_a_loop(flooded(url))
        finally:
            backend.free.set()
    assert other.status_code == 200
    refused = [answer for answer in crowd if answer.status_code != 200]
    assert len(refused) == len(crowd) - EVENTS.of_one
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
        return [await asks(f"203.0.113.{number}", EVENTS.share(0) + 1) for number in range(5)]

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


class Lines:
    """A queue with a line of some slots, in which events begin and end as a test says."""

    def __init__(self, slots: int | None = 4) -> None:
        with gr.Blocks() as blocks:
            gr.Button().click(lambda: None, concurrency_limit=slots)
        self.queue: Any = share_queue(keep_answers(blocks.queue()))._queue
        self.listeners = Listeners(print)  # type: ignore[arg-type]
        self.events: dict[str, str] = {}

    def ask(self, session: str, size: int = 0, *, heard: bool = True) -> str:
        """Ask from the address with which the name of the session begins; returns why that is refused."""
        scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "client": (session.partition(" ")[0], 1)}
        request = Request({**scope, KEY: self.listeners, BODY_BYTES: size})
        body = PredictBodyInternal(session_hash=session, data=[], fn_index=0, request=None)
        taken, event, _ = in_a_loop(self.queue.push(body, request, None))
        if heard:
            self.hear(session)
        self.events[session] = event if taken else ""
        return "" if taken else str(event)

    def hear(self, name: str) -> None:
        self.listeners._streams[name] = set()

    def begin(self) -> list[str]:
        """Begin all that may be; returns their sessions."""
        begun = []
        while found := self.queue.get_events():
            events, _, name = found
            self.queue.active_jobs.append(events)
            self.queue.event_queue_per_concurrency_id[name].current_concurrency += 1
            begun.append(events[0].session_hash)
        return begun

    def end(self, session: str) -> None:
        events = next(one for one in self.queue.active_jobs if one[0].session_hash == session)
        self.queue.active_jobs.remove(events)
        self.queue.event_queue_per_concurrency_id[events[0].concurrency_id].current_concurrency -= 1

    def said(self, session: str) -> list[Any]:
        waiting = self.queue.pending_messages_per_session[session]
        return [waiting.get_nowait() for _ in range(waiting.qsize())]


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Seconds by which the clock of the queue is ahead."""
    clock, ahead = time.monotonic, [0.0]
    monkeypatch.setattr(shared_queue, "time", SimpleNamespace(monotonic=lambda: clock() + ahead[0]))
    monkeypatch.setattr(shared_queue, "LOOK_SECONDS", 0.0)
    yield ahead


@pytest.mark.usefixtures("now")
def test_an_address_has_one_slot_of_a_line_and_leaves_the_others_to_others() -> None:
    lines = Lines()
    for name in ("crowd 1", "crowd 2", "crowd 3"):
        lines.ask(name)
    assert lines.begin() == ["crowd 1"]
    lines.ask("other 1")
    assert lines.begin() == ["other 1"]
    lines.end("crowd 1")
    assert lines.begin() == ["crowd 2"]


@pytest.mark.usefixtures("now")
def test_a_line_has_no_more_under_way_than_its_slots() -> None:
    lines = Lines(slots=2)
    for name in ("a 1", "b 1", "c 1"):
        lines.ask(name)
    assert lines.begin() == ["a 1", "b 1"]


@pytest.mark.usefixtures("now")
def test_runs_which_have_no_limit_begin_at_once_whether_heard_or_not() -> None:
    lines = Lines(slots=None)
    for n in range(9):
        lines.ask(f"crowd {n}", heard=False)
    assert lines.begin() == [f"crowd {n}" for n in range(9)]


def test_a_question_that_nobody_listens_to_has_no_turn_and_ends_with_a_sentence(now: list[float]) -> None:
    lines = Lines(slots=1)
    for n in range(3):
        lines.ask(f"left {n}", heard=False)
    lines.ask("left 3")
    assert lines.begin() == ["left 3"]
    lines.end("left 3")
    now[0] = BEGIN_SECONDS + 1
    assert lines.begin() == []
    assert not any(line.queue for line in lines.queue.event_queue_per_concurrency_id.values())
    assert not set(lines.events.values()) & set(lines.queue.event_ids_to_events) - {lines.events["left 3"]}
    assert lines.said("left 0")[-1].output == {"error": UNHEARD}


@pytest.mark.parametrize("by", ["session", "event"])
@pytest.mark.usefixtures("now")
def test_a_question_begins_when_its_sender_listens_a_moment_later(by: str) -> None:
    lines = Lines()
    lines.ask("late 1", heard=False)
    assert lines.begin() == []
    lines.hear("late 1" if by == "session" else lines.events["late 1"])
    assert lines.begin() == ["late 1"]


def test_a_line_where_nothing_may_begin_is_looked_at_again_after_a_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = [0.0]
    monkeypatch.setattr(shared_queue, "time", SimpleNamespace(monotonic=lambda: seconds[0]))
    lines = Lines()
    lines.ask("late 1", heard=False)
    assert lines.begin() == []
    lines.hear("late 1")
    assert lines.begin() == []
    seconds[0] = 1.01 * shared_queue.LOOK_SECONDS
    assert lines.begin() == ["late 1"]


def test_large_questions_of_one_address_are_refused_before_they_fill_the_memory() -> None:
    lines = Lines()
    refused = [lines.ask(f"crowd {n}", 4_000_000) for n in range(5)]
    assert refused == ["", "", "", HEAVY, HEAVY]
    assert lines.ask("crowd small", 1) == HEAVY
    assert lines.ask("other 1", 4_000_000) == ""


@pytest.mark.usefixtures("now")
def test_what_is_under_way_counts_and_what_is_over_does_not() -> None:
    lines = Lines()
    for n in range(3):
        lines.ask(f"crowd {n}", BYTES.share(0) // 3)
    assert lines.begin() == ["crowd 0"]
    assert lines.ask("crowd 3", 1000) == HEAVY
    lines.end("crowd 0")
    assert lines.ask("crowd 3", 1000) == ""


def test_few_addresses_with_much_keep_out_nobody_who_asks_little() -> None:
    lines = Lines()
    for address in range(20):
        for size in (4_000_000, 1_000_000, BYTES.little):
            while not lines.ask(f"crowd{address} {len(lines.events)}", size):
                pass
    assert lines.ask("other 1", BYTES.little) == ""
    assert lines.ask("other 2", BYTES.little) == HEAVY
    assert lines.ask("third 1", 4_000_000) == HEAVY


def test_two_addresses_with_as_much_as_they_may_have_leave_room_for_a_large_question() -> None:
    lines = Lines()
    for address in range(2):
        while not lines.ask(f"crowd{address} {len(lines.events)}", 4_000_000):
            pass
    assert lines.ask("other 1", 4_000_000) == ""


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4_000_000)), max_size=60))
def test_whatever_is_asked_the_bytes_that_wait_are_bounded(asked: list[tuple[int, int]]) -> None:
    lines, held = Lines(), defaultdict[int, int](int)
    for n, (address, size) in enumerate(asked):
        if not lines.ask(f"{address} {n}", size):
            held[address] += size
        assert held[address] <= BYTES.of_one
        assert sum(held.values()) <= BYTES.of_all + BYTES.little * len(held)
