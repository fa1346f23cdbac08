import asyncio
from typing import Any

import gradio as gr
import pytest
from starlette.requests import Request

from kvdemo.web.guard.listeners import PIECE, Listeners, arrival, has_listener, listens_to
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


def streamed(body: bytes, reads: bool) -> tuple[list[dict[str, Any]], list[int]]:
    """Stream a body of one message to somebody who reads it, or who takes the first piece and is then ended."""
    sent: list[dict[str, Any]] = []
    unsent: list[int] = []

    async def visit() -> None:
        async def app(_: Any, __: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        async def take(message: dict[str, Any]) -> None:
            unsent.append(listeners.unsent("mine"))
            if not reads and len(sent) == 2:
                await asyncio.Event().wait()
            sent.append(message)

        listeners = Listeners(app)
        asked = scope("/queue/data", "session_hash=mine")
        stream = asyncio.create_task(listeners(asked, take, take))  # type: ignore[arg-type]
        if not reads:
            await asyncio.sleep(0.05)
            assert not stream.done()
            listeners.end("mine")
        await asyncio.wait_for(stream, 1)
        assert listeners.unsent("mine") == 0

    in_a_loop(visit())
    return sent, unsent


def test_a_stream_is_sent_piece_by_piece_and_whole() -> None:
    body = bytes(range(256)) * (PIECE // 100)
    sent, unsent = streamed(body, reads=True)
    assert sent[0]["type"] == "http.response.start"
    assert b"".join(message["body"] for message in sent[1:]) == body
    assert [message["more_body"] for message in sent[1:]] == [True] * 3 + [False]
    assert unsent == [0, len(body), len(body) - PIECE, len(body) - 2 * PIECE, 0]


def test_a_stream_that_nobody_reads_can_be_ended() -> None:
    sent, unsent = streamed(b"x" * 3 * PIECE, reads=False)
    assert len(sent) == 2
    assert unsent[-1] == 2 * PIECE


def test_what_the_server_says_of_a_lost_connection_reaches_the_stream() -> None:
    async def app(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.body", "body": b"x"})

    async def lost(_: Any) -> None:
        raise OSError("lost on purpose")

    with pytest.raises(OSError, match="lost on purpose"):
        in_a_loop(Listeners(app)(scope("/queue/data", "session_hash=mine"), lost, lost))  # type: ignore[arg-type]


def test_nothing_else_runs_while_the_server_takes_a_piece_at_once() -> None:
    """Else a reader may leave then, and Gradio's stream is left unclosed: its end would be an error in the log."""
    others: list[str] = []

    async def app(_: Any, __: Any, send: Any) -> None:
        asyncio.get_running_loop().call_soon(others.append, "ran")
        await send({"type": "http.response.body", "body": b"x"})
        assert not others

    async def take(_: Any) -> None:
        pass

    in_a_loop(Listeners(app)(scope("/queue/data", "session_hash=mine"), take, take))  # type: ignore[arg-type]
