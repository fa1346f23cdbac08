import asyncio
from typing import Any

import gradio as gr
import pytest
from starlette.requests import Request

from kvdemo.web.guard.listeners import Listeners, is_heard, listens_to
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
def test_only_a_stream_of_events_listens(asked: dict[str, Any], session: str) -> None:
    assert listens_to(asked) == session


def test_a_session_is_listened_to_while_one_of_its_streams_is_open() -> None:
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


def test_without_a_count_and_without_a_session_everybody_is_heard() -> None:
    assert is_heard(gr.Request())
    assert is_heard(gr.Request(Request(scope("/queue/join", method="POST")), session_hash="mine"))


def test_whoever_asks_and_does_not_listen_is_not_heard() -> None:
    asked = scope("/queue/join", method="POST")

    async def app(*_: Any) -> None: ...

    in_a_loop(Listeners(app)(asked, app, app))  # type: ignore[arg-type]
    assert not is_heard(gr.Request(Request(asked), session_hash="mine"))
    assert is_heard(gr.Request(Request(asked), session_hash=None))
