"""The page is made once for each address, and names its icon, so that no browser looks for one at the site's root."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from kvdemo.web.gradio_patches.kept_page import ADDRESS, LINK, MOST, KeptPage
from kvdemo.web.theme import launch_options

PAGE = "<html><head><title>é</title></head><body></head></body></html>"


def keeping(*routes: Route) -> TestClient:
    return TestClient(Starlette(routes=routes, middleware=[Middleware(KeptPage)]))


def visitor(response: Response) -> TestClient:
    routes = [Route(path, lambda _: response) for path in ("/", "/other")]
    return keeping(*routes)


def test_the_page_is_sent_with_its_icon() -> None:
    answer = visitor(HTMLResponse(PAGE)).get("/?prompt=x")
    assert answer.content == PAGE.encode().replace(b"</head>", LINK + b"</head>", 1)
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize(
    ("path", "response"), [("/other", HTMLResponse(PAGE)), ("/", PlainTextResponse("</head>")), ("/", Response())]
)
def test_other_answers_are_sent_unchanged(path: str, response: Response) -> None:
    assert visitor(response).get(path).content == response.body


@pytest.fixture
def made() -> list[str]:
    """The addresses for which a page was made."""
    return []


@pytest.fixture
def kept(made: list[str]) -> TestClient:
    def page(request: Request) -> Response:
        made.append(str(request.url))
        return HTMLResponse(f"<head></head>{request.url.netloc} {request.headers.get('x-forwarded-host')}")

    return keeping(Route("/", page))


def test_a_page_is_made_once_whatever_its_link_says(kept: TestClient, made: list[str]) -> None:
    answers = [kept.get("/"), kept.get("/?prompt=x"), kept.get("/?tokens=3", headers={"cookie": "a=b"})]
    assert len(made) == 1
    assert len({answer.content for answer in answers}) == 1
    assert len({answer.headers["content-length"] for answer in answers}) == 1


@pytest.mark.parametrize("header", ADDRESS)
def test_each_address_has_a_page_of_its_own(kept: TestClient, made: list[str], header: str) -> None:
    first, other = kept.get("/"), kept.get("/", headers={header: "elsewhere.example"})
    assert len(made) == 2
    assert (first.content != other.content) is (header in ("host", "x-forwarded-host"))
    assert kept.get("/").content == first.content
    assert len(made) == 2


@pytest.mark.parametrize("query", ["deep_link=x", "page=x", "all_endpoints=1", "prompt=x&deep%5Flink=x"])
def test_a_link_that_gradio_reads_is_answered_anew(kept: TestClient, made: list[str], query: str) -> None:
    kept.get("/")
    kept.get(f"/?{query}")
    kept.get(f"/?{query}")
    assert len(made) == 3


def test_addresses_that_strangers_make_up_take_no_more_room(kept: TestClient, made: list[str]) -> None:
    kept.get("/")
    for number in range(2 * MOST):
        kept.get("/", headers={"host": f"{number}.example"})
        kept.get("/")
    assert len(made) == 1 + 2 * MOST  # the server's own stays
    kept.get("/", headers={"host": "0.example"})
    assert len(made) == 2 + 2 * MOST


def test_a_failure_is_not_kept(made: list[str]) -> None:
    def fails_once(request: Request) -> Response:
        made.append(str(request.url))
        return HTMLResponse("<head></head>", 503 if len(made) == 1 else 200)

    visitor = keeping(Route("/", fails_once))
    assert [visitor.get("/").status_code for _ in range(3)] == [503, 200, 200]
    assert len(made) == 2


def test_the_launched_server_keeps_its_page() -> None:
    assert KeptPage in [one.cls for one in launch_options()["app_kwargs"]["middleware"]]
