"""Pages of other websites: they can neither start anything here nor read what is answered."""

from __future__ import annotations

from typing import Any

import pytest

from kvdemo.web.guard import other_sites
from kvdemo.web.guard.other_sites import is_of_another_site
from tests.web.guard.test_protection import client

pytestmark = pytest.mark.slow

HERE = {"host": "kvdemo.example"}
ELSEWHERE = {"origin": "http://evil.example"}


def scope(method: str = "POST", **headers: str) -> dict[str, Any]:
    sent = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http", "method": method, "headers": sent}


@pytest.mark.parametrize(
    "asked",
    [
        scope(host="kvdemo.example"),  # a program
        scope(host="kvdemo.example", sec_fetch_site="same-origin", origin="https://kvdemo.example"),
        scope(host="kvdemo.example", sec_fetch_site="none"),
        # A proxy that passes on no Host, where the browser says it itself.
        scope(host="127.0.0.1:7860", sec_fetch_site="same-origin", origin="https://kvdemo.example"),
        scope(host="kvdemo.example:8000", origin="http://kvdemo.example:8000"),
        scope(host="kvdemo.example", origin="http://kvdemo.example:8000"),  # a proxy that leaves out the port
        scope(host="127.0.0.1:7860", x_forwarded_host="kvdemo.example", origin="http://kvdemo.example"),
        scope(host="[::1]:7860", origin="http://[::1]:7860"),
        scope("GET", host="kvdemo.example", sec_fetch_site="cross-site", origin="https://evil.example"),
        scope("OPTIONS", host="kvdemo.example", origin="https://evil.example"),
    ],
)
def test_the_servers_own_page_programs_and_links_are_answered(asked: dict[str, Any]) -> None:
    assert not is_of_another_site(asked)


@pytest.mark.parametrize(
    "asked",
    [
        scope(host="kvdemo.example", sec_fetch_site="cross-site", origin="https://evil.example"),
        scope(host="kvdemo.example", sec_fetch_site="same-site"),
        scope(host="127.0.0.1:7860", origin="http://evil.example"),
        scope(host="127.0.0.1:7860", origin="null"),
        scope(host="", origin=""),
        scope(host="[", origin="http://["),
        scope("DELETE", host="kvdemo.example", origin="http://kvdemo.example.evil.example"),
    ],
)
def test_another_websites_page_is_refused(asked: dict[str, Any]) -> None:
    assert is_of_another_site(asked)


@pytest.mark.parametrize("path", ["queue/join", "call/race", "call/v2/race", "run/candidates", "upload", "cancel"])
def test_another_websites_page_starts_nothing_and_is_told_why(path: str) -> None:
    with client() as visitor:
        answer = visitor.post(f"/gradio_api/{path}", headers=HERE | ELSEWHERE, content=b"{}")
    assert (answer.status_code, answer.text) == (403, other_sites.SENTENCE)


@pytest.mark.parametrize("path", ["/config", "/healthz", "/gradio_api/info", "/gradio_api/queue/data?session_hash=a"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_no_other_websites_page_can_read_an_answer(method: str, path: str) -> None:
    asking = HERE | ELSEWHERE | {"access-control-request-method": "POST", "access-control-request-headers": "x"}
    if method == "GET":
        asking = HERE | ELSEWHERE
    with client() as visitor, visitor.stream(method, path, headers=asking) as answer:
        assert "access-control-allow-origin" not in answer.headers
