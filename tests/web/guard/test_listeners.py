import asyncio
from typing import Any

import gradio as gr
import pytest
from starlette.requests import Request

from kvdemo.web.guard.listeners import Listeners, arrival, has_listener, listens_to
from tests.web.loops import in_a_loop


def scope(path: str, query: str = "", method: str = "GET") -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": []}


@pytest.mark.parametrize(
    ("asked", "session"),
    [
        (scope("/gradio_api/queue/data", "session_hash=abc"), "abc"),
        (scope("/kvdemo/gradio_api/queue/data", "x=1&session_hash=abc"), "abc"),
        (scope("/gradio_api/queue/data"), ""),
        (scope("/gradio_api/call/race/e1"), "e1"),
        (scope("/gradio_api/call/v2/race/e1"), "e1"),
        (scope("/gradio_api/call/race", method="POST"), ""),
        (scope("/gradio_api/queue/join", method="POST"), ""),
        (scope("/"), ""),
        ({"type": "websocket", "path": "/gradio_api/queue/data"}, ""),
    ],
)
def test_only_a_request_for_the_event_stream_counts_as_listening(asked: dict[str, Any], session: str) -> None:
    assert listens_to(asked) == session


def test_a_session_has_a_listener_while_one_of_its_streams_is_open() -> None:
    heard: list[tuple[str, bool]] = []

    async def visit() -> None:
        leave = asyncio.Event()

        async def app(*_: Any) -> None:
            await leave.wait()

        listeners = Listeners(app)
        join = scope("/gradio_api/queue/join", method="POST")

        async def nothing(*_: Any) -> Any: ...

        async def join_only(_: Any, __: Any, ___: Any) -> None: ...

        asking = Listeners(join_only)
        await asking(join, nothing, nothing)
        listening = [
            asyncio.create_task(listeners(scope("/queue/data", "session_hash=mine"), nothing, nothing))
            for _ in range(2)
        ]
        await asyncio.sleep(0)
        heard.append(("open", listeners.has("mine")))
        heard.append(("another's", listeners.has("other")))
        listening[0].cancel()  # the visitor left, which cancels the answer
        await asyncio.sleep(0)
        heard.append(("one left", listeners.has("mine")))
        leave.set()
        await listening[1]
        heard.append(("both left", listeners.has("mine")))

    in_a_loop(visit())
    assert heard == [("open", True), ("another's", False), ("one left", True), ("both left", False)]


def test_a_request_without_a_count_or_a_session_counts_as_listening() -> None:
    assert has_listener(gr.Request())
    assert has_listener(gr.Request(Request(scope("/queue/join", method="POST")), session_hash="mine"))


def test_a_request_whose_session_has_no_stream_is_not_listening() -> None:
    asked = scope("/queue/join", method="POST")

    async def app(*_: Any) -> None: ...

    in_a_loop(Listeners(app)(asked, app, app))  # type: ignore[arg-type]
    assert not has_listener(gr.Request(Request(asked), session_hash="mine"))
    assert has_listener(gr.Request(Request(asked), session_hash=None))


def test_requests_are_numbered_in_order_of_arrival() -> None:
    numbers: list[int | None] = []

    async def visit() -> None:
        async def app(asked: Any, receive: Any, _: Any) -> None:
            await receive()
            numbers.append(arrival(gr.Request(Request(asked))))

        async def slow() -> None:
            await asyncio.sleep(0.01)

        async def quick() -> None: ...

        listeners = Listeners(app)
        join = lambda: scope("/gradio_api/queue/join", method="POST")  # noqa: E731
        await asyncio.gather(listeners(join(), slow, quick), listeners(join(), quick, quick))

    in_a_loop(visit())
    assert numbers == [2, 1]


def test_an_unnumbered_request_has_no_arrival() -> None:
    assert arrival(gr.Request()) is None
    assert arrival(gr.Request(Request(scope("/")))) is None
