"""The page is made once for all addresses, and names its icon, so that no browser looks for one at the site's root."""

from __future__ import annotations

import pytest
from gradio.route_utils import get_root_url
from gradio.routes import App, toorjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from kvdemo.web.gradio_patches.kept_page import LINK, NOBODY, KeptPage
from kvdemo.web.theme import launch_options, theme
from tests.web.guard.test_protection import blocks

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
        return HTMLResponse(f"<head></head>{toorjson({'root': get_root_url(request, '/', '')})}")

    return keeping(Route("/", page))


def test_a_page_is_made_once_whatever_its_link_says(kept: TestClient, made: list[str]) -> None:
    links = ["/", "/?prompt=x", "/?deep_link=x", "/?page=x", "/?all_endpoints=1", "/?prompt=x&deep%5Flink=x"]
    answers = [*map(kept.get, links), kept.get("/?tokens=3", headers={"cookie": "a=b"})]
    assert len(made) == 1
    assert len({answer.content for answer in answers}) == 1
    assert len({answer.headers["content-length"] for answer in answers}) == 1


def test_the_head_of_a_page_is_that_of_the_kept_one_without_its_body(kept: TestClient, made: list[str]) -> None:
    head, whole = kept.head("/"), kept.get("/")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == whole.headers
    assert len(made) == 1


@pytest.mark.parametrize("header", ["host", "x-forwarded-host", "x-gradio-server"])
def test_each_address_is_in_its_page_and_has_none_made(kept: TestClient, made: list[str], header: str) -> None:
    for number in range(40):
        named = f"{number}.example"
        answer = kept.get("/", headers={header: f"http://{named}" if header == "x-gradio-server" else named})
        assert f'{{"root":"http://{named}"}}'.encode() in answer.content
        assert int(answer.headers["content-length"]) == len(answer.content)
        assert NOBODY.encode() not in answer.content
    assert len(made) == 1


#: What a visitor may be asked under, and strangers say.
ASKED: list[dict[str, str]] = [
    {},
    {"host": "example.org"},
    {"host": "example.org", "x-forwarded-proto": "https"},
    {"host": "127.0.0.1:7860", "x-forwarded-host": "a.example, b.example", "x-forwarded-proto": "https,http"},
    {"x-gradio-server": "https://c.example/app/"},
    {"x-forwarded-host": "a'b&c.example"},
    {"x-forwarded-host": 'a"</script><b>.example'},
    {"host": "example.org/a?b#c"},
    {"host": "xn--mnchen-3ya.example"},
    {"host": NOBODY},
]


@pytest.mark.slow
@pytest.mark.parametrize("root_path", ["", "/kvdemo", "https://proxy.example/kvdemo"])
def test_a_page_is_as_gradio_makes_it_for_its_address(root_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks(), "theme", theme(), raising=False)  # as launch() does
    options = launch_options()["app_kwargs"] | {"middleware": []}
    keeps = options | {"middleware": [Middleware(KeptPage)]}
    by_gradio, by_us = (App.create_app(blocks(), app_kwargs=one) for one in (options, keeps))
    by_gradio.root_path = by_us.root_path = root_path
    gradios, ours = TestClient(by_gradio), TestClient(by_us)
    for sent in ASKED:
        expected = gradios.get("/", headers=sent).content.replace(b"</head>", LINK + b"</head>", 1)
        assert ours.get("/", headers=sent).content == expected


def test_an_address_that_there_cannot_be_is_left_to_the_server() -> None:
    refused = keeping(Route("/", lambda _: PlainTextResponse("no such server", 400)))
    answer = refused.get("/", headers={"x-forwarded-host": "[x]"})
    assert (answer.status_code, answer.text) == (400, "no such server")


def test_a_failure_is_not_kept(made: list[str]) -> None:
    def fails_once(request: Request) -> Response:
        made.append(str(request.url))
        return HTMLResponse("<head></head>", 503 if len(made) == 1 else 200)

    visitor = keeping(Route("/", fails_once))
    assert [visitor.get("/").status_code for _ in range(3)] == [503, 200, 200]
    assert len(made) == 2


def test_the_launched_server_keeps_its_page() -> None:
    assert KeptPage in [one.cls for one in launch_options()["app_kwargs"]["middleware"]]
