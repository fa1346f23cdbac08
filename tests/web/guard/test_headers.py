"""No header of a request takes the server's time: what nobody reads is left out, the rest is short."""

from __future__ import annotations

import time
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from kvdemo.web.guard import headers
from kvdemo.web.guard.protection import CONTENT_SECURITY_POLICY, Protection
from tests.web.guard.test_protection import client

#: As long as the web server takes it.
LONG = 60_000


@pytest.fixture
def asking() -> TestClient:
    """Visitors of what answers with the headers and cookies that it gets."""

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        told = {"headers": dict(request.headers), "cookies": request.cookies}
        await JSONResponse(told)(scope, receive, send)

    return TestClient(Protection(echo, file_bytes=1, hourly_bytes=1))


def seconds(visitor: TestClient, path: str, sent: dict[str, Any]) -> float:
    begun = time.perf_counter()
    visitor.get(path, headers=sent)
    return time.perf_counter() - begun


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/", "/?all_endpoints=1", "/config", "/gradio_api/info", "/gradio_api/user"])
def test_no_cookie_stops_the_server_where_gradio_reads_cookies(path: str) -> None:
    """Python's own reader takes 40 s for this one, before its releases of September 2024."""
    with client() as visitor:
        visitor.get(path)
        assert seconds(visitor, path, {"cookie": 'a="' + "\\" * LONG + '"'}) < 2


@pytest.mark.parametrize("cookie", ["a=b", 'a="' + "\\" * LONG + '"', "; ".join(f"a{n}=b" for n in range(4000)), "é"])
def test_a_visitor_whose_browser_sends_cookies_of_the_site_is_answered_without_them(
    asking: TestClient, cookie: str
) -> None:
    answer = asking.get("/", headers={b"cookie": cookie.encode("latin-1"), b"referer": b"x" * LONG})
    assert answer.status_code == 200
    assert answer.json()["cookies"] == {}
    assert {"cookie", "referer"}.isdisjoint(answer.json()["headers"])


@pytest.mark.parametrize(
    "name", ["authorization", "x-ip-token", "sec-fetch-site", "mcp-session-id", "x-forwarded-for", "if-none-match"]
)
def test_what_signs_a_visitor_in_or_is_read_is_handed_on(asking: TestClient, name: str) -> None:
    """A proxy asks for passwords by `authorization`; a Space says by `x-ip-token` whose device time is used."""
    value = "same-origin" if name == "sec-fetch-site" else "x" * 4000
    assert asking.get("/", headers={name: value}).json()["headers"][name] == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "@" * LONG) for name in headers.NAME_THE_SERVER),
        ("host", "@" * (headers.MOST_OF_SHORT + 1)),
        ("x-gradio-server", "http://" + "@" * headers.MOST_OF_SHORT),
        ("origin", "http://[" + ":" * LONG),
        ("content-type", "multipart/form-data; " + 'a="b";' * 9000),
        ("range", "bytes=" + "0-0," * 15_000 + "1-1"),
        ("x-forwarded-proto", "," * LONG),
        ("authorization", "Basic " + "=" * LONG),
        ("accept-language", "a," * 30_000),
        ("if-none-match", '"a",' * 15_000),
        ("nobody-knows-this", "x" * headers.MOST_OF_ONE),
    ],
)
def test_a_header_that_is_too_long_is_refused_in_a_sentence(asking: TestClient, name: str, value: str) -> None:
    answer = asking.get("/", headers={name: value})
    assert (answer.status_code, answer.text) == (431, headers.TOO_LARGE)
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY


@pytest.mark.parametrize(
    "sent",
    [
        {f"a{number}": "b" for number in range(headers.MOST_HEADERS + 1)},
        {f"a{number}": "b" * 8000 for number in range(5)},
    ],
    ids=["many", "long together"],
)
def test_headers_that_are_too_large_together_are_refused(asking: TestClient, sent: dict[str, str]) -> None:
    assert asking.get("/", headers=sent).status_code == 431


def test_what_a_proxy_and_a_browser_send_is_let_in(asking: TestClient) -> None:
    sent = {
        "host": "a" * 63 + "." + "b" * 63 + ".example:7860",
        "origin": "https://example.org",
        "content-type": "multipart/form-data; boundary=" + "-" * 70,
        "authorization": "Bearer " + "x" * 7000,
        "x-forwarded-for": ", ".join(["2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff"] * 20),
        **{f"x-proxy-{number}": "x" * 100 for number in range(60)},
    }
    assert asking.get("/", headers=sent).status_code == 200


@pytest.mark.parametrize("name", headers.NAME_THE_SERVER)
@pytest.mark.parametrize("value", ["[x]", "a:b:c", "é" * 100])
def test_a_server_that_there_cannot_be_is_refused(asking: TestClient, name: str, value: str) -> None:
    answer = asking.get("/", headers={name.encode(): value.encode("latin-1")})
    assert (answer.status_code, answer.text) == (400, headers.NO_HOST)
