"""Answers that nobody reads do not fill the memory, and a slow reader loses none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import gradio as gr
import orjson
import pytest
from gradio.data_classes import PredictBodyInternal
from gradio.queueing import Event
from gradio.server_messages import HeartbeatMessage, ProcessCompletedMessage, ProcessGeneratingMessage
from starlette.requests import Request

from kvdemo.web.gradio_patches import unread_answers as module
from kvdemo.web.gradio_patches.kept_answers import keep_answers
from kvdemo.web.gradio_patches.unread_answers import limit_unread
from kvdemo.web.guard.listeners import KEY, Listeners, _Stream
from tests.web.loops import in_a_loop


class Asked:
    """A queue that begins nothing, who listens to it, and answers as an event would give them."""

    def __init__(self) -> None:
        with gr.Blocks() as blocks:
            gr.Button().click(lambda: None)
        self.queue: Any = limit_unread(keep_answers(blocks.queue()))._queue
        self.fn = blocks.fns[0]
        self.listeners = Listeners(print)  # type: ignore[arg-type]
        self.events: dict[str, Event] = {}

    async def ask(self, session: str, address: str = "203.0.113.1") -> str:
        scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "client": (address, 1)}
        request = Request({**scope, KEY: self.listeners})
        body = PredictBodyInternal(session_hash=session, data=[], fn_index=0, request=None)
        _, event, _ = await self.queue.push(body, request, None)
        self.events[session] = self.queue.event_ids_to_events[event]
        return str(event)

    async def answer(self, session: str, *sizes: int) -> None:
        for size in sizes:
            output = {"data": ["x" * (size - len('{"data":[""]}'))]}
            self.queue.send_message(self.events[session], ProcessCompletedMessage(output=output, success=True))
            await asyncio.sleep(0)

    async def read(self, session: str) -> None:
        waiting = self.queue.pending_messages_per_session[session]
        while not waiting.empty():
            await waiting.get()

    @property
    def kept(self) -> list[str]:
        return sorted(self.queue.pending_messages_per_session)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    monkeypatch.setattr(module, "MOST_BYTES_OF_ADDRESS", 3000)
    monkeypatch.setattr(module, "MOST_BYTES_OF_ALL", 8000)


@pytest.fixture
def asked() -> Iterator[Asked]:
    yield Asked()


def test_a_session_that_reads_nothing_is_forgotten_and_its_run_is_over(asked: Asked) -> None:
    async def pile_up() -> None:
        await asked.ask("mine")
        await asked.answer("mine", 600)
        assert asked.kept == ["mine"]
        await asked.answer("mine", 600)
        assert asked.kept == []
        await asyncio.sleep(0.01)
        assert not any(line.queue for line in asked.queue.event_queue_per_concurrency_id.values())

    in_a_loop(pile_up())


def test_a_session_that_reads_loses_nothing_however_much_it_gets(asked: Asked) -> None:
    async def read_along() -> None:
        await asked.ask("mine")
        for _ in range(20):
            await asked.answer("mine", 600)
            await asked.read("mine")

    in_a_loop(read_along())
    assert asked.kept == ["mine"]


def test_one_answer_may_wait_whatever_it_has(asked: Asked) -> None:
    """A large one comes twice: as the last news, and at the end."""

    async def large() -> None:
        await asked.ask("mine")
        await asked.answer("mine", 2900)
        asked.queue.pending_messages_per_session["mine"].put_nowait(HeartbeatMessage())

    in_a_loop(large())
    assert asked.kept == ["mine"]


def test_many_small_answers_wait_for_a_reader_who_is_away_for_a_while(asked: Asked) -> None:
    async def away() -> None:
        await asked.ask("mine")
        await asked.answer("mine", *[50] * 20)

    in_a_loop(away())
    assert asked.kept == ["mine"]


def test_of_an_address_with_too_much_the_session_with_the_most_is_forgotten(asked: Asked) -> None:
    async def share() -> None:
        for session in ("a", "b", "c"):
            await asked.ask(session)
        await asked.ask("another's", "203.0.113.2")
        await asked.answer("another's", 2900)
        await asked.answer("a", 900)
        await asked.answer("b", 1800)
        await asked.answer("c", 900)

    in_a_loop(share())
    assert asked.kept == ["a", "another's", "c"]


def test_of_all_addresses_the_one_with_the_most_loses_the_session_with_the_most(asked: Asked) -> None:
    async def share() -> None:
        for session in ("a", "b"):
            await asked.ask(session, "203.0.113.1")
        for host, session in enumerate(("c", "d", "e"), 2):
            await asked.ask(session, f"203.0.113.{host}")
        await asked.answer("a", 1400)
        await asked.answer("b", 1500)
        await asked.answer("c", 2500)
        await asked.answer("d", 2500)
        assert asked.kept == ["a", "b", "c", "d", "e"]
        await asked.answer("e", 200)

    in_a_loop(share())
    assert asked.kept == ["a", "c", "d", "e"]


def test_what_a_stream_is_still_sending_counts_for_its_address(asked: Asked) -> None:
    async def sending() -> None:
        event = await asked.ask("stuck")
        await asked.ask("other")
        with ExitStack() as streams:
            stuck = [_Stream(print), _Stream(print)]  # type: ignore[arg-type]
            for name, stream in zip(("stuck", event), stuck, strict=True):
                stream.unsent = 1500
                streams.enter_context(asked.listeners._counted(name, stream))
            await asked.answer("other", 900)
            assert asked.kept == ["other"]
            assert all(stream.ended for stream in stuck)

    in_a_loop(sending())


def test_an_answer_that_is_read_no_longer_counts(asked: Asked) -> None:
    async def read_once() -> None:
        await asked.ask("mine")
        await asked.answer("mine", 900)
        await asked.read("mine")
        await asked.answer("mine", 900)

    in_a_loop(read_once())
    unread = asked.queue.pending_messages_per_session["mine"]
    assert (asked.kept, unread.bytes, unread.answers) == (["mine"], 900, 1)


def nested(deep: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(deep):
        value = [value]
    return value


#: What an answer may hold by mistake, and no stream can carry. Gradio would end the stream with Python's words for it.
UNSENDABLE = {
    "half a character": "\ud800", "half a character in a key": {"\ud800": 1}, "more than 64 bits": 2**70,
    "less than 64 bits": -(2**70), "300 lists in one another": nested(300),
}  # fmt: skip


@pytest.mark.parametrize("kind", [ProcessCompletedMessage, ProcessGeneratingMessage])
@pytest.mark.parametrize("value", UNSENDABLE.values(), ids=UNSENDABLE)
def test_an_answer_that_cannot_be_sent_is_one_sentence(asked: Asked, value: Any, kind: Any) -> None:
    said: list[Any] = []

    async def wrong() -> None:
        await asked.ask("mine")
        message = kind(output={"data": [value]}, success=True)
        asked.queue.send_message(asked.events["mine"], message)
        waiting = asked.queue.pending_messages_per_session["mine"]
        while not waiting.empty():
            said.append(await waiting.get())

    in_a_loop(wrong())
    message = said[-1]
    assert (message.success, message.output["error"]) == (False, module.UNSENDABLE)
    assert orjson.dumps(message.model_dump(), default=str)  # as Gradio sends it
