"""What Gradio cannot read is answered in one sentence; an accident of the app's own addresses stays one."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from starlette.testclient import TestClient

from kvdemo.web.guard import closed
from kvdemo.web.guard.unreadable import NO_ENDPOINT, WRONG_PARAMETERS
from tests.web.guard.test_protection import client

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def visitor() -> Any:
    with client() as made:
        yield made


@pytest.mark.parametrize(
    ("path", "body", "code", "says"),
    [
        ("call/v2/race", {"prompt": "Hi", "turbo": 1}, 400, WRONG_PARAMETERS),
        ("call/v2/plan", {}, 400, WRONG_PARAMETERS),
        ("call/v2/nothing", {}, 404, NO_ENDPOINT),
        ("call/nothing", {"data": []}, 404, NO_ENDPOINT),
        ("queue/join", {"data": [], "fn_index": 10**6, "session_hash": "a"}, 404, NO_ENDPOINT),
    ],
)
def test_a_request_for_an_unknown_address_is_answered_in_a_sentence(
    visitor: TestClient, caplog: pytest.LogCaptureFixture, path: str, body: Any, code: int, says: str
) -> None:
    with caplog.at_level(logging.INFO):
        answer = visitor.post(f"/gradio_api/{path}", json=body)
    assert (answer.status_code, answer.json()) == (code, {"detail": says})
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"data": 1}', b'{"data": NaN}', b'{"data": "\\ud800"}', b'{"data": [], "fn_index": 1e400}',
     b'{"data": [], "session_hash": ["\\ud800", NaN]}', b"[" * 100_000, b"\xff\xfe"],
)  # fmt: skip
def test_an_invalid_body_is_answered_in_a_sentence(visitor: TestClient, body: bytes) -> None:
    answer = visitor.post("/gradio_api/queue/join", content=body, headers=JSON)
    assert 400 <= answer.status_code < 500
    detail = answer.json()["detail"]
    assert isinstance(detail, str)
    assert detail.isascii() and "\n" not in detail


@pytest.mark.parametrize(
    "data", [[], ["a"], [None, 0, 0], ["a", "x", 0], ["a", 0, -1], [{"path": "/etc/passwd"}, 0, 0]]
)
def test_a_refusal_outside_the_queue_has_code_400(visitor: TestClient, data: list[Any]) -> None:
    answer = visitor.post("/gradio_api/run/candidates", json={"data": data})
    assert answer.status_code == 400
    assert answer.json()["error"].endswith(".")


def test_a_stream_of_an_unknown_session_ends_without_a_traceback(
    visitor: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    for path in ("call/race/nobody", "queue/data?session_hash=nobody"):
        answer = visitor.get(f"/gradio_api/{path}")
        assert answer.status_code == 200
        assert "Not Found" in answer.text
    assert "Traceback" not in caplog.text


def test_a_closed_address_is_answered_in_a_sentence(visitor: TestClient) -> None:
    answer = visitor.post("/gradio_api/stream/nobody/close")
    assert (answer.status_code, answer.text) == (404, closed.SENTENCE)


@pytest.mark.parametrize("header", ["x-forwarded-host", "x-gradio-server"])
def test_a_header_that_names_no_server_is_refused(visitor: TestClient, header: str) -> None:
    answer = visitor.get("/config", headers={header: "a:b:c"})
    assert answer.status_code == 400
    assert "a header names a server" in answer.text


def test_an_unexpected_error_of_an_own_address_has_code_500_without_details() -> None:
    def fail() -> dict[str, Any]:
        raise RuntimeError("secret detail")

    with client(health=fail) as visitor:
        answer = visitor.get("/healthz")
    assert answer.status_code == 500
    assert "secret" not in answer.text
