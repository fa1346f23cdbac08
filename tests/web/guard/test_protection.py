"""What guards the web server: headers, the size of what is sent, uploads, visitors of other machines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.routes import App
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from kvdemo.web import links, page
from kvdemo.web.guard.body import BODY_BYTES
from kvdemo.web.guard.protection import CONTENT_SECURITY_POLICY, Protection, is_stranger
from kvdemo.web.guard.unreadable import NO_ROOM
from kvdemo.web.links import TOO_LONG
from kvdemo.web.tabs.compare import MOST_BYTES
from tests.web.scripted_backend import ScriptedBackend

LOCAL = {"host": "127.0.0.1:7860"}


@cache
def blocks() -> gr.Blocks:
    """The page, which takes half a second to build."""
    return page.build(ScriptedBackend())


def client(**guard: Any) -> TestClient:
    """The page as Gradio serves it."""
    options = page.launch_options(**guard)
    blocks().max_file_size = options["max_file_size"]
    app = App.create_app(blocks(), app_kwargs=options["app_kwargs"])
    return TestClient(app, raise_server_exceptions=False, client=("127.0.0.1", 5))


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def visitor() -> Iterator[TestClient]:
    with client() as made:
        yield made


def upload(visitor: TestClient, size: int, count: int = 1) -> Any:
    files = [("files", (f"a{n}.json", b"x" * size, "application/json")) for n in range(count)]
    return visitor.post("/gradio_api/upload", files=files)


@pytest.mark.parametrize("path", ["/config", "/no/such/page", "/gradio_api/info"])
def test_every_answer_has_the_headers(visitor: TestClient, path: str) -> None:
    headers = visitor.get(path).headers
    assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "strict-origin-when-cross-origin"


@pytest.fixture
def asking() -> TestClient:
    """Visitors of what answers with the link that it gets."""

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(scope["query_string"])(scope, receive, send)

    return TestClient(Protection(echo, file_bytes=1, hourly_bytes=1))


def test_a_link_that_is_too_long_opens_the_page_without_it(asking: TestClient) -> None:
    link = "prompt=" + "%41" * 20_000
    assert asking.get(f"/?{link}").text == f"{TOO_LONG}=1"
    assert asking.post(f"/gradio_api/queue/join?{link}").text == ""
    (notice,) = links.read({TOO_LONG: "1"}, {}).notices
    assert "too long" in notice


def test_only_huggingface_may_frame_the_page_and_no_other_source_is_allowed() -> None:
    rules = dict(rule.split(" ", 1) for rule in CONTENT_SECURITY_POLICY.split("; "))
    assert rules.pop("frame-ancestors") == "'self' https://huggingface.co https://*.hf.space"
    assert rules.pop("default-src") == "'none'"
    allowed = {source for sources in rules.values() for source in sources.split()}
    assert allowed == {"'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "data:"}


def test_a_file_of_the_largest_size_is_accepted_and_a_larger_one_refused(visitor: TestClient, own_folder: Path) -> None:
    assert upload(visitor, 1000).status_code == 200
    before = sum(path.stat().st_size for path in own_folder.rglob("*.json"))
    assert before == 1000
    assert upload(visitor, MOST_BYTES + 200_000).status_code == 413
    assert upload(visitor, 1_000_000, count=1 + MOST_BYTES // 1_000_000).status_code == 413  # many files as one
    assert sum(path.stat().st_size for path in own_folder.rglob("*.json")) == before


def test_an_upload_to_a_full_disk_gets_a_sentence_and_the_next_works(visitor: TestClient) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        refused = upload(visitor, 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (refused.status_code, refused.text) == (507, NO_ROOM)
    assert upload(visitor, 1000).status_code == 200


def test_a_body_of_unknown_length_is_cut_off_at_the_limit(visitor: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        yield from (b"x" * 1_000_000 for _ in range(5))

    answer = visitor.post("/gradio_api/queue/join", content=chunks(), headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert visitor.post("/gradio_api/queue/join", headers={"content-length": "9" * 5000}).status_code == 413


@pytest.mark.parametrize("content", [b"x" * 1000, [b"x" * 600, b"x" * 400]], ids=["announced", "in pieces"])
def test_a_request_is_handed_on_with_the_bytes_of_its_body(content: Any) -> None:
    async def tell(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(str(scope[BODY_BYTES]))(scope, receive, send)

    asking = TestClient(Protection(tell, file_bytes=1, hourly_bytes=1))
    assert (
        asking.post("/gradio_api/queue/join", content=iter(content) if isinstance(content, list) else content).text
        == "1000"
    )


def test_an_upload_without_a_name_gets_a_sentence(visitor: TestClient) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="files"\r\n\r\n{}\r\n--b--\r\n'
    answer = visitor.post(
        "/gradio_api/upload", content=body, headers={"content-type": "multipart/form-data; boundary=b"}
    )
    assert answer.status_code == 400
    assert "Traceback" not in answer.text


def test_uploaded_files_are_deleted_within_an_hour_and_those_that_gradio_does_not_know_after_it() -> None:
    look, keep = blocks().delete_cache or (0, 0)
    assert 0 < look + keep <= page.KEEP_ALL_SECONDS
    assert page.KEEP_ALL_SECONDS + 2 * page.LOOK_FOR_FILES_SECONDS < 3600  # seen by one look, removed by another


def scope(host: str, client: str | None = "127.0.0.1", **headers: str) -> dict[str, Any]:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in {"host": host, **headers}.items()]
    return {"type": "http", "headers": sent, "client": None if client is None else (client, 1)}


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "[::1]:7860", "localhost", "127.0.0.5"])
def test_a_visitor_of_the_same_machine_is_no_stranger(host: str) -> None:
    assert not is_stranger(scope(host))


@pytest.mark.parametrize(
    "request_",
    [
        scope("abcd1234.gradio.live"),
        scope("192.168.1.5:7860", "192.168.1.9"),
        scope("localhost:7860", "192.168.1.9"),
        scope("localhost:7860", x_forwarded_for="10.0.0.1"),
        scope("localhost:7860", forwarded="for=10.0.0.1"),
        scope("evil.example"),  # a name that is made to lead to this machine
        scope("[", "127.0.0.1"),
    ],
)
def test_a_visitor_by_network_proxy_tunnel_or_another_name_is_a_stranger(request_: dict[str, Any]) -> None:
    assert is_stranger(request_)


def test_the_first_stranger_is_reported_before_the_answer() -> None:
    seen: list[int] = []
    with client(on_stranger=lambda: seen.append(os.getpid())) as visitor:
        visitor.get("/config", headers=LOCAL)
        assert not seen
        visitor.get("/config", headers={"host": "abcd.gradio.live"})
        visitor.get("/config", headers={"host": "abcd.gradio.live"})
    assert len(seen) == 1


def test_healthz_states_the_health_and_is_503_for_a_failed_server() -> None:
    said = {"ok": True, "state": "ready", "runs": 2}
    with client(health=lambda: said) as visitor:
        assert visitor.get("/healthz").json() == said
        said["ok"] = False
        assert visitor.get("/healthz").status_code == 503


def test_metrics_are_served_only_when_they_are_switched_on() -> None:
    with client(metrics=lambda: (b"kvdemo_runs_waiting 0.0", "text/plain; version=1.0.0")) as visitor:
        answer = visitor.get("/metrics")
        assert answer.text == "kvdemo_runs_waiting 0.0"
        assert answer.headers["content-type"].startswith("text/plain; version=1.0.0")
    with client() as visitor:
        assert visitor.get("/metrics").text != "kvdemo_runs_waiting 0.0"
