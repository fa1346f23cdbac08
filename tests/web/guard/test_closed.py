"""Gradio's addresses: each is one that the page or a program needs, or nothing answers there."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from kvdemo.web.guard import closed
from tests.hostile.accepted import routes
from tests.web.guard.test_protection import client

pytestmark = pytest.mark.slow

#: What the page, Gradio's client and its own start ask for, and what tells nothing to anybody.
OPEN = {
    "/", "/assets/{path:path}", "/config", "/favicon.ico", "/manifest.json", "/pwa_icon", "/pwa_icon/{size}",
    "/robots.txt", "/static/{path:path}", "/svelte/{path:path}", "/theme.css", "/endpoints",
    "/gradio_api/api/{api_name}", "/gradio_api/app_id", "/gradio_api/call/v2/{api_name}",
    "/gradio_api/call/v2/{api_name}/{event_id}", "/gradio_api/call/{api_name}",
    "/gradio_api/call/{api_name}/{event_id}", "/gradio_api/cancel", "/gradio_api/file={path_or_url:path}",
    "/gradio_api/heartbeat/{session_hash}", "/gradio_api/info", "/gradio_api/login_check", "/gradio_api/openapi.json",
    "/gradio_api/queue/data", "/gradio_api/queue/join", "/gradio_api/queue/status", "/gradio_api/reset",
    "/gradio_api/run/{api_name}", "/gradio_api/startup-events", "/gradio_api/theme.css", "/gradio_api/token",
    "/gradio_api/upload", "/gradio_api/upload_progress", "/gradio_api/user",
}  # fmt: skip


def test_each_address_of_gradio_is_open_for_a_reason_or_closed() -> None:
    paths = {path.rstrip("/") or "/" for one in routes() if (path := getattr(one, "path", None)) is not None}
    own = {path for path in paths if path in ("/healthz", "/metrics") or path.startswith("/frontend")}
    answered = {path for path in paths - own if not closed.is_closed(path)}
    assert answered - OPEN == set()
    assert OPEN - answered == set()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/gradio_api/file=http://example.com/"),
        ("GET", "/gradio_api/file=HTTPS://example.com/a.png"),
        ("HEAD", "/gradio_api/file%3Dhttps%3A%2F%2Fexample.com"),
        ("GET", "/kvdemo/gradio_api/file=https://example.com/a.png"),
        ("GET", "/gradio_api/file/http://example.com/"),
        ("GET", "/gradio_api/proxy=https://a-b.hf.space/"),
        ("POST", "/gradio_api/process_recording"),
        ("POST", "/gradio_api/component_server/"),
        ("GET", "/gradio_api/deep_link?session_hash=a"),
        ("GET", "/gradio_api/dev/reload"),
        ("GET", "/monitoring"),
        ("POST", "/login/"),
    ],
)
def test_nothing_answers_at_a_closed_address(method: str, path: str) -> None:
    with client() as visitor:
        answer = visitor.request(method, path)
    assert answer.status_code == 404
    assert answer.text in (closed.SENTENCE, "" if method == "HEAD" else closed.SENTENCE)


def test_no_list_of_all_routes_is_made_for_anybody() -> None:
    with client() as visitor:
        assert visitor.get("/openapi.json").status_code == 404
        assert visitor.get("/gradio_api/info").status_code == 200


@pytest.mark.parametrize("path", ["/gradio_api/file=/tmp/login/a/runs/stream/login.json", "/frontend/1/login.js", "/"])
def test_a_file_is_not_taken_for_a_closed_address(path: str) -> None:
    assert not closed.is_closed(path)


def test_a_document_for_download_can_be_fetched(visitor_with_file: tuple[TestClient, str]) -> None:
    visitor, path = visitor_with_file
    answer = visitor.get(f"/gradio_api/file={path}")
    assert (answer.status_code, answer.content) == (200, b"{}")


@pytest.fixture
def visitor_with_file(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> tuple[TestClient, str]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    visitor = client()
    (path,) = visitor.post("/gradio_api/upload", files={"files": ("a.json", b"{}", "application/json")}).json()
    return visitor, path
