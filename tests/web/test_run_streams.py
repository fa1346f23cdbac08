"""Runs of pages and programs: they can be stopped, they end when nobody listens, and they take no thread of others."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import aclosing
from typing import Any

import gradio as gr
import pytest
from starlette.requests import Request

from kvdemo.core.visitor import Visitor
from kvdemo.web import run_streams as module
from kvdemo.web.guard.listeners import KEY
from kvdemo.web.run_streams import Runs, visitor_of
from tests.web.loops import in_a_loop


class Ears:
    """Who listens, as a test says it."""

    listening = True

    def has(self, session: str) -> bool:
        return session == "mine" and self.listening


class Engine:
    """A run that waits between its states until it is stopped or allowed to go on."""

    def __init__(self) -> None:
        self.go_on, self.closed = threading.Event(), threading.Event()
        self.stopped: list[str] = []
        self.begun = False

    def stop(self, run_id: str) -> None:
        self.stopped.append(run_id)
        self.go_on.set()

    def states(self) -> Generator[int, None, None]:
        self.begun = True
        try:
            yield 1
            self.go_on.wait()
            yield 2
        finally:
            self.closed.set()


def request(ears: Ears, session: str = "mine", **more: Any) -> gr.Request:
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": [], KEY: ears, **more}
    return gr.Request(Request(scope), session_hash=session)


def streamed(engine: Engine, asked: gr.Request, act: Any = lambda _: None) -> list[int]:
    """What is yielded; `act(state)` is called with each."""

    async def collect() -> list[int]:
        seen = []
        async with aclosing(Runs(engine.stop).stream(engine.states(), "r1", asked)) as states:
            async for state in states:
                seen.append(state)
                if act(state) == "leave":
                    break
        while engine.begun and not engine.closed.is_set():
            await asyncio.sleep(0.01)
        return seen

    return in_a_loop(collect())


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(module, "BEGIN_SECONDS", 0.1)


def test_a_run_can_be_stopped_by_its_page_only_while_it_runs() -> None:
    engine = Engine()
    runs = Runs(engine.stop)
    with runs.running("page") as first:
        runs.stop("other")
        runs.stop("page")
        with runs.running("page") as second:
            assert second != first
        runs.stop("page")
    runs.stop("page")
    assert engine.stopped == [first]


def test_the_end_of_an_older_run_does_not_forget_a_newer_one() -> None:
    engine = Engine()
    runs = Runs(engine.stop)
    old, new = runs.running("page"), runs.running("page")
    old.__enter__()
    run_id = new.__enter__()
    old.__exit__(None, None, None)
    runs.stop("page")
    assert engine.stopped == [run_id]


def test_all_states_of_a_run_come_and_its_generator_is_closed() -> None:
    engine = Engine()
    assert streamed(engine, request(Ears()), lambda _: engine.go_on.set()) == [1, 2]
    assert engine.closed.is_set()
    assert not engine.stopped


def test_an_exception_of_a_run_is_raised() -> None:
    def broken() -> Generator[int, None, None]:
        yield 1
        raise RuntimeError("broken on purpose")

    async def collect() -> None:
        async for _ in Runs(print).stream(broken(), "r1", request(Ears())):
            pass

    with pytest.raises(RuntimeError, match="broken on purpose"):
        in_a_loop(collect())


def test_a_run_without_a_listener_never_starts() -> None:
    engine, ears = Engine(), Ears()
    ears.listening = False
    assert streamed(engine, request(ears)) == []
    assert not engine.begun


def test_a_run_starts_when_its_program_begins_to_listen() -> None:
    engine, ears = Engine(), Ears()
    ears.listening = False
    engine.go_on.set()
    timer = threading.Timer(0.03, lambda: setattr(ears, "listening", True))
    timer.start()
    assert streamed(engine, request(ears)) == [1, 2]


def test_a_waiting_run_whose_visitor_leaves_is_stopped_and_closed() -> None:
    engine, ears = Engine(), Ears()
    assert streamed(engine, request(ears), lambda _: setattr(ears, "listening", False)) == [1]
    assert engine.stopped == ["r1"]
    assert engine.closed.is_set()


def test_a_run_that_yields_all_the_time_ends_when_nobody_listens() -> None:
    ears, told = Ears(), []

    def states() -> Generator[int, None, None]:
        while True:
            told.append(len(told))
            threading.Event().wait(0.002)
            yield len(told)

    async def collect() -> None:
        async for state in Runs(lambda _: None).stream(states(), "r1", request(ears)):
            ears.listening = state < 5

    in_a_loop(collect())
    assert len(told) >= 5


def test_a_run_whose_reader_stops_between_two_states_is_closed() -> None:
    engine = Engine()
    assert streamed(engine, request(Ears()), lambda _: "leave") == [1]
    assert engine.closed.is_set()


async def at_work(engine: Engine) -> asyncio.Task[None]:
    """Listen to a run on a task; returns when its first state has come and it is at work on the next."""
    waits = asyncio.Event()

    async def collect() -> None:
        async for _ in Runs(engine.stop).stream(engine.states(), "r1", request(Ears())):
            waits.set()

    task = asyncio.create_task(collect())
    await waits.wait()
    return task


def test_a_cancelled_waiting_run_is_stopped_and_closed() -> None:
    engine = Engine()

    async def cancelled() -> None:
        task = await at_work(engine)
        task.cancel()
        await asyncio.wait({task})
        while not engine.closed.is_set():
            await asyncio.sleep(0.01)

    in_a_loop(cancelled())
    assert engine.stopped == ["r1"]
    assert engine.closed.is_set()


def test_a_running_run_is_stopped_when_the_server_ends(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine()

    async def ended() -> None:
        task = await at_work(engine)
        await asyncio.sleep(0.05)
        for one in asyncio.all_tasks() - {asyncio.current_task()}:  # as a loop does with all that is left in it
            one.cancel()
        await asyncio.wait({task})
        assert task.cancelled()

    in_a_loop(ended())
    assert engine.stopped == ["r1"]
    assert not caplog.records


def test_a_hundred_waiting_runs_do_not_block_the_threads_of_other_events() -> None:
    engines = [Engine() for _ in range(100)]

    async def wait_all() -> bool:
        async def collect(engine: Engine) -> None:
            async for _ in Runs(engine.stop).stream(engine.states(), "r", request(Ears())):
                pass

        tasks = [asyncio.create_task(collect(engine)) for engine in engines]
        while not all(engine.begun for engine in engines):
            await asyncio.sleep(0.01)
        answered: bool = await module.to_thread.run_sync(lambda: True)  # as Gradio answers an event
        for engine in engines:
            engine.go_on.set()
        await asyncio.gather(*tasks)
        return answered

    assert in_a_loop(wait_all())


@pytest.mark.parametrize(
    ("client", "address"),
    [
        (("127.0.0.1", 5), ""),
        (("::1", 5), ""),
        (("203.0.113.7", 5), "203.0.113.7"),
        (("test", 5), ""),
        (None, ""),
    ],
)
def test_a_visitor_is_a_page_and_its_address_unless_that_is_this_machine(client: Any, address: str) -> None:
    assert visitor_of(request(Ears(), client=client)) == Visitor("mine", address)
    assert visitor_of(gr.Request()) == Visitor()
