"""How many requests of an address are open, and how much of them is in memory."""

from __future__ import annotations

from contextlib import ExitStack, suppress

import pytest
from starlette.exceptions import HTTPException

from kvdemo.core.shares import Quota
from kvdemo.web.guard import open_requests
from kvdemo.web.guard.open_requests import BYTES, HEAVY, OpenRequests

HERE, THERE = "203.0.113.1", "203.0.113.2"
PIECE = 4_000_000


def test_an_address_with_its_share_of_requests_keeps_nobody_else_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_requests, "REQUESTS", Quota(3, 12))
    requests = OpenRequests()
    with ExitStack() as opened:
        for _ in range(3):
            opened.enter_context(requests.one(HERE))
        assert not requests.is_full(HERE, shared=False)
        opened.enter_context(requests.one(HERE))
        assert requests.is_full(HERE, shared=False)
        assert not requests.is_full(HERE, shared=True)
        opened.enter_context(requests.one(THERE))
        assert not requests.is_full(THERE, shared=False)
    assert not requests.is_full(HERE, shared=False)


def test_a_proxy_brings_as_many_as_all_may_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_requests, "REQUESTS", Quota(3, 12))
    requests = OpenRequests()
    with ExitStack() as opened:
        for _ in range(12):
            opened.enter_context(requests.one("127.0.0.1"))
        assert not requests.is_full("127.0.0.1", shared=True)
        opened.enter_context(requests.one("127.0.0.1"))
        assert requests.is_full("127.0.0.1", shared=True)


def test_bytes_of_requests_that_still_come_are_limited_and_free_again_when_they_are_over() -> None:
    requests = OpenRequests()
    with ExitStack() as opened:
        for _ in range(3):
            opened.enter_context(requests.one(HERE))(PIECE)
        with pytest.raises(HTTPException, match=HEAVY):
            opened.enter_context(requests.one(HERE))(1)
        opened.enter_context(requests.one(THERE))(PIECE)
    with requests.one(HERE) as more:
        more(PIECE)


def test_whoever_sends_little_is_let_in_where_few_send_much() -> None:
    requests = OpenRequests()
    with ExitStack() as opened:
        for n in range(40):
            more = opened.enter_context(requests.one(f"203.0.113.{n + 10}"))
            for size in (PIECE, 1_000_000, BYTES.little):
                with suppress(HTTPException):
                    while True:
                        more(size)
        visitor = opened.enter_context(requests.one(HERE))
        visitor(BYTES.little)
        with pytest.raises(HTTPException, match=HEAVY):
            visitor(1)
