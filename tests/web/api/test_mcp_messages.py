"""What is no message of the Model Context Protocol is answered in one sentence, and no methods but those of tools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from kvdemo.web.guard.parts import TOO_DEEP, TOO_MANY
from tests.serving import served

pytest.importorskip("mcp")  # an optional dependency

from mcp.types import INVALID_PARAMS, LATEST_PROTOCOL_VERSION, METHOD_NOT_FOUND

from kvdemo.web.api.mcp_messages import MOST_ID, NO_MESSAGE, NO_METHOD, refusal

HEADERS = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
LIST: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
NO_MESSAGES = {
    "nothing": b"",
    "no JSON": b"{",
    "no text": b"\xff\xfe\x00",
    "a number of 5000 digits": b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"tools/list"}',
    "half a character": json.dumps(LIST | {"id": "\ud800"}).encode(),
    "half a character in a method": json.dumps(LIST | {"method": "\udfff"}).encode(),
    "half a character in a key": json.dumps(LIST | {"params": {"\ud800": 1}}).encode(),
    "half a character as it is": json.dumps(LIST | {"id": "\ud800"}, ensure_ascii=False).encode(errors="surrogatepass"),
    "a batch": json.dumps([LIST, LIST]).encode(),
    "numbers": b"[1,1,1]",
    "text": b'"tools/list"',
    "an object": b"{}",
    "a long id": json.dumps(LIST | {"id": "x" * (MOST_ID + 1)}).encode(),
    "a long name for its progress": json.dumps(
        LIST | {"params": {"_meta": {"progressToken": "x" * (MOST_ID + 1)}}}
    ).encode(),
    "another version": json.dumps(LIST | {"jsonrpc": "1.0"}).encode(),
    "an answer": json.dumps({"jsonrpc": "2.0", "id": 1, "result": {}}).encode(),
    "an error": json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "x"}}).encode(),
    "parameters in a list": json.dumps(LIST | {"params": [1]}).encode(),
}  # fmt: skip


#: Requests at which no method of MCP can be asked.
NO_METHODS: tuple[dict[str, Any], ...] = (
    {"method": ""},
    {"method": "x" * 10_000},
    {"method": "initialize"},
    {"method": "tools/call"},
    {"method": "tools/call", "params": {"name": "models", "arguments": []}},
    {"method": "tools/call", "params": {"name": "models", "_meta": {"progressToken": 1.5}}},
    {"params": {"cursor": 5}},
)
#: Notifications of which the server knows nothing.
UNKNOWN: tuple[dict[str, Any], ...] = (
    {"jsonrpc": "2.0", "method": "nothing"},
    {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": [1]}},
)


def said(answer: Response | None) -> tuple[int, Any]:
    """The code and what stands in an answer."""
    assert answer is not None
    return answer.status_code, json.loads(bytes(answer.body))


@pytest.mark.parametrize("body", NO_MESSAGES.values(), ids=NO_MESSAGES)
def test_what_is_no_message_is_refused(body: bytes) -> None:
    code, answer = said(refusal(body))
    assert (code, answer["error"]["message"]) == (400, NO_MESSAGE)


@pytest.mark.parametrize("id_", [1, "a", "\U0001f600", "x" * MOST_ID, 10**4000])
@pytest.mark.parametrize("wrong", NO_METHODS)
def test_a_request_for_no_method_is_refused_by_its_id(wrong: dict[str, Any], id_: int | str) -> None:
    error = {"code": INVALID_PARAMS, "message": NO_METHOD}
    answer = {"jsonrpc": "2.0", "id": id_, "error": error}
    assert said(refusal(json.dumps(LIST | wrong | {"id": id_}).encode())) == (200, answer)


@pytest.mark.parametrize("notification", UNKNOWN)
def test_an_unknown_notification_is_taken_in(notification: dict[str, Any]) -> None:
    answer = refusal(json.dumps(notification).encode())
    assert answer is not None
    assert (answer.status_code, answer.body) == (202, b"")


@pytest.mark.parametrize(
    "message",
    [
        LIST,
        LIST | {"params": {"_meta": {"progressToken": "x"}}},
        LIST | {"id": "\U0001f600", "method": "tools/call", "params": {"name": "models", "arguments": {"a": [1]}}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1, "reason": "x"}},
    ],
)
def test_messages_are_handed_on(message: dict[str, Any]) -> None:
    assert refusal(json.dumps(message).encode()) is None


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "log"


@pytest.fixture(scope="module")
def url(tiny_folder: Path, log: Path) -> Iterator[str]:
    settings = {"KVDEMO_MODEL": str(tiny_folder), "KVDEMO_DEVICE": "cpu", "KVDEMO_MCP": "1"}
    with served(settings, log=log) as address:
        yield f"{address}gradio_api/mcp/"


@pytest.fixture
def quiet(log: Path) -> Iterator[None]:
    """No request is logged with a traceback, or at length."""
    before = len(log.read_text("utf-8", "replace"))
    yield
    logged = log.read_text("utf-8", "replace")[before:]
    assert "Traceback" not in logged
    assert not [line for line in logged.splitlines() if len(line) > 300 or "validation error" in line]


def post(url: str, body: bytes) -> httpx.Response:
    return httpx.post(url, content=body, headers=HEADERS, timeout=60)


def ask(url: str, **message: Any) -> Any:
    """What the server says to a message."""
    answer = post(url, json.dumps(LIST | message).encode())
    assert answer.status_code == 200
    return json.loads(next(line for line in answer.text.splitlines() if line.startswith("data:"))[5:])


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
def test_what_is_no_message_is_answered_in_a_sentence(url: str) -> None:
    for body in NO_MESSAGES.values():
        answer = post(url, body)
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, NO_MESSAGE)
    for wrong in NO_METHODS:
        assert post(url, json.dumps(LIST | wrong).encode()).json()["error"]["message"] == NO_METHOD
    for notification in UNKNOWN:
        assert post(url, json.dumps(notification).encode()).status_code == 202
    told = ask(url, method="tools/call", params={"name": "x" * 10_000})["result"]
    assert told["isError"]
    assert told["content"][0]["text"].startswith("There is no tool ")


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("body", "code", "says"), [(b"[" * 100_000, 413, TOO_MANY), (b"[" * 100 + b"]" * 100, 400, TOO_DEEP)]
)
def test_messages_of_many_values_are_refused_as_any_body(url: str, body: bytes, code: int, says: str) -> None:
    answer = post(url, body)
    assert (answer.status_code, answer.json()["detail"]) == (code, says)


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("prompts/list", {}),
        ("prompts/get", {"name": "strategies"}),
        ("prompts/get", {"name": "race", "arguments": {"prompt": "Hi"}}),
        ("resources/list", {}),
        ("resources/templates/list", {}),
        ("resources/read", {"uri": "file:///etc/passwd"}),
        ("resources/subscribe", {"uri": "file:///etc/passwd"}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "x", "value": "x"}}),
        ("logging/setLevel", {"level": "debug"}),
        ("tasks/list", {}),
    ],
)
def test_only_the_methods_of_tools_are_answered(url: str, method: str, params: dict[str, Any]) -> None:
    assert ask(url, method=method, params=params)["error"]["code"] == METHOD_NOT_FOUND


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
def test_a_client_is_told_of_tools_alone(url: str) -> None:
    greeting = {
        "protocolVersion": LATEST_PROTOCOL_VERSION,
        "capabilities": {},
        "clientInfo": {"name": "", "version": ""},
    }
    told = ask(url, method="initialize", params=greeting)["result"]["capabilities"]
    assert told.keys() - {"experimental"} == {"tools"}
    assert ask(url, method="ping")["result"] == {}
    assert ask(url)["result"]["tools"]
