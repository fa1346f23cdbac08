"""Bodies of too many values, or too deep, are refused before anything reads them; what the page sends is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from kvdemo.core.settings.inside import MOST_ID, MOST_SHOWN_TOKENS
from kvdemo.core.settings.race import RaceRequest
from kvdemo.server.limits import Limits
from kvdemo.web.guard.parts import MOST_BESIDE, MOST_DEPTH, MOST_SIGNS, TOO_DEEP, TOO_MANY, fault
from kvdemo.web.guard.protection import MOST_REQUEST, Protection

MANY = 2 * MOST_SIGNS
#: What holds too many values, by how they are written.
LARGE = {
    "lists": "[" + "[]," * MANY + "[]]",
    "objects": "[" + "{}," * MANY + "{}]",
    "numbers": json.dumps([0] * MANY),
    "texts": json.dumps(["a"] * MANY),
    "empty texts": json.dumps([""] * MANY),
    "keys": json.dumps(dict.fromkeys(map(str, range(MANY)))),
    "the same key": "{" + '"a":1,' * MANY + '"a":1}',
    "after a text that ends in a backslash": '["\\\\",' + "[]," * MANY + "[]]",
    "after a text with a quote": '["\\"",' + "[]," * MANY + "[]]",
    "after backslashes and a quote": '["\\\\\\"",' + "[]," * MANY + "[]]",
    "between texts": '["a' + '",[],"' * MANY + '"]',
    "never closed": "[" * MANY,
    "one number": "1" * (MOST_BESIDE + 1),
    "one fraction": "0." + "3" * MOST_BESIDE,
    "blanks": " " * MOST_BESIDE + "[]",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE)
def test_too_many_values_are_refused_however_they_are_written(text: str, encoding: str) -> None:
    assert fault(text.encode(encoding)) == (413, TOO_MANY)


def test_characters_that_hold_the_byte_of_a_quote_hide_nothing() -> None:
    assert fault(f'["\u2200",{"[]," * MANY}[]]'.encode("utf-16")) == (413, TOO_MANY)


@pytest.mark.parametrize("text", ["[" * (MOST_DEPTH + 1), '{"a":[' * MOST_DEPTH + "]}" * MOST_DEPTH])
def test_what_is_too_deep_is_refused(text: str) -> None:
    assert fault(text.encode()) == (400, TOO_DEEP)


@pytest.mark.parametrize("character", ["a", "\U0001f600", '"', "\\", "[", ",", "\n", "\ud800"])
@pytest.mark.parametrize("ascii_", [True, False])
def test_the_largest_form_is_read(character: str, ascii_: bool) -> None:
    """A prompt of as many characters as a server reads, in the most bytes for each, the most ids, and every field."""
    prompt = character * Limits().prompt_characters
    fields = [None] * 4 * len(RaceRequest.__dataclass_fields__)
    data = [prompt, [MOST_ID] * MOST_SHOWN_TOKENS, *fields]
    event = {"data": data, "fn_index": 51, "session_hash": "abc", "event_data": None}
    body = json.dumps(event, indent=4, ensure_ascii=ascii_).encode(errors="surrogatepass")
    assert len(body) <= MOST_REQUEST
    assert fault(body) is None


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"\xff" * 100_000, b'"', b"]" * 100])
def test_what_cannot_be_read_is_left_to_who_reads_it(body: bytes) -> None:
    assert fault(body) is None


@pytest.fixture
def reached() -> list[bytes]:
    """The bodies that what is behind the guard has read."""
    return []


@pytest.fixture
def visitor(reached: list[bytes]) -> TestClient:
    async def read(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(await Request(scope, receive).body())
        await PlainTextResponse("read")(scope, receive, send)

    return TestClient(Protection(read, file_bytes=10_000_000, hourly_bytes=10_000_000))


def chunks(body: bytes) -> Iterator[bytes]:
    """A body of unannounced length, in pieces."""
    yield from (body[at : at + 1000] for at in range(0, len(body), 1000))


@pytest.mark.parametrize(
    "path",
    ["queue/join", "call/race", "call/v2/race", "cancel", "mcp/", "mcp/gradio_api/upload", "mcp/x/gradio_api/upload"],
)
@pytest.mark.parametrize("kind", ["application/json", "application/x+json", "text/plain", ""])
@pytest.mark.parametrize("whole", [True, False])
def test_a_refused_body_reaches_nothing(
    visitor: TestClient, reached: list[bytes], path: str, kind: str, whole: bool
) -> None:
    body = LARGE["lists"].encode()
    content: Any = body if whole else chunks(body)
    answer = visitor.post(f"/gradio_api/{path}", content=content, headers={"content-type": kind})
    assert (answer.status_code, answer.json()) == (413, {"detail": TOO_MANY})
    assert not reached


@pytest.mark.parametrize("whole", [True, False])
def test_a_body_that_is_right_is_handed_on_as_it_is(visitor: TestClient, reached: list[bytes], whole: bool) -> None:
    body = json.dumps({"data": ["a" * 5000, 1]}).encode()
    assert visitor.post("/gradio_api/queue/join", content=body if whole else chunks(body)).text == "read"
    assert reached == [body]


def test_files_may_have_many_values(visitor: TestClient, reached: list[bytes]) -> None:
    for path in ("/gradio_api/upload", "/kvdemo/gradio_api/upload"):
        assert visitor.post(path, content=LARGE["lists"].encode()).text == "read"
    assert len(reached) == 2
