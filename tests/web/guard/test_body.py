"""The body of a request: how long it may take to come."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message

from kvdemo.web.guard.body import TOO_SLOW, Body
from tests.web.loops import in_a_loop

SCOPE: dict[str, Any] = {"type": "http", "headers": []}
LITTLE = 0.05


def piece(content: bytes, *, last: bool = False) -> Message:
    return {"type": "http.request", "body": content, "more_body": not last}


def body_of(pieces: Iterator[Message], between: float, seconds: float) -> Body:
    """A body whose pieces come one after another; after the last one nothing does."""

    async def receive() -> Message:
        for message in pieces:
            await asyncio.sleep(between)
            return message
        await asyncio.sleep(2 * seconds)
        return {"type": "http.disconnect"}

    return Body(SCOPE, receive, 1000, seconds=seconds)


def test_a_body_that_comes_piece_by_piece_without_an_end_is_given_up() -> None:
    async def reading() -> None:
        with pytest.raises(HTTPException) as refused:
            await body_of((piece(b"a") for _ in iter(int, 1)), LITTLE / 5, LITTLE).take()
        assert (refused.value.status_code, refused.value.detail) == (408, TOO_SLOW)

    in_a_loop(reading())


def test_a_body_that_stops_coming_is_given_up() -> None:
    async def reading() -> None:
        with pytest.raises(HTTPException, match=TOO_SLOW):
            await body_of(iter([piece(b"{")]), 0, LITTLE).take()

    in_a_loop(reading())


def test_whoever_waits_for_the_visitor_to_leave_may_wait_for_long() -> None:
    """So do all streams of events, whose bodies have come."""

    async def reading() -> None:
        body = body_of(iter([piece(b"{}", last=True)]), 0, LITTLE)
        await body.take()
        assert (await body())["body"] == b"{}"
        assert (await body())["type"] == "http.disconnect"

    in_a_loop(reading())
