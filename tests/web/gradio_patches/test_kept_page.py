"""The page and what describes it are made once, with each visitor's address in his, and the page names its icon."""

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

from kvdemo.web.gradio_patches.kept_page import INFO, KEPT, LINK, NOBODY, PAGE, KeptPage
from kvdemo.web.theme import launch_options, theme
from tests.web.guard.test_protection import blocks

HTML = "<html><head><title>é</title></head><body></head></body></html>"


JSON = {"content-type": "application/json"}


def keeping(*routes: Route) -> TestClient:
    return TestClient(Starlette(routes=routes, middleware=[Middleware(KeptPage)]))


def visitor(response: Response) -> TestClient:
    routes = [Route(path, lambda _: response) for path in ("/", "/other")]
    return keeping(*routes)


def test_the_page_is_sent_with_its_icon() -> None:
    answer = visitor(HTMLResponse(HTML)).get("/?prompt=x")
    assert answer.content == HTML.encode().replace(b"</head>", LINK + b"</head>", 1)
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize(
    ("path", "response"), [("/other", HTMLResponse(HTML)), ("/", PlainTextResponse("</head>")), ("/", Response())]
)
def test_other_answers_are_sent_unchanged(path: str, response: Response) -> None:
    assert visitor(response).get(path).content == response.body


@pytest.fixture
def made() -> list[str]:
    """The addresses for which a page was made."""
    return []


@pytest.fixture
def kept(made: list[str]) -> TestClient:
    def answer(request: Request) -> Response:
        made.append(str(request.url))
        said = toorjson({"root": get_root_url(request, request.url.path, "")})
        return HTMLResponse(f"<head></head>{said}") if request.url.path == PAGE else Response(said, 200, JSON)

    return keeping(*(Route(path, answer) for path in KEPT))


def test_a_page_is_made_once_whatever_its_link_says(kept: TestClient, made: list[str]) -> None:
    links = [
        "/",
        "/?prompt=x",
        "/?deep_link=x",
        "/?page=x",
        "/?%70age=x",
        "/?all_endpoints=1",
        "/?prompt=x&deep%5Flink=x",
    ]
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
@pytest.mark.parametrize("path", [*KEPT, *(f"{path}/" for path in KEPT[1:]), "/config?page=&deep_link=x"])
def test_each_address_is_in_its_answer_and_has_none_made(
    kept: TestClient, made: list[str], header: str, path: str
) -> None:
    for number in range(40):
        named = f"{number}.example"
        answer = kept.get(path, headers={header: f"http://{named}" if header == "x-gradio-server" else named})
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


@pytest.fixture
def theirs_and_ours(monkeypatch: pytest.MonkeyPatch) -> tuple[App, App]:
    """The server as Gradio makes it, and as it keeps its answers."""
    monkeypatch.setattr(blocks(), "theme", theme(), raising=False)  # as launch() does
    options = launch_options()["app_kwargs"] | {"middleware": []}
    keeps = options | {"middleware": [Middleware(KeptPage)]}
    return App.create_app(blocks(), app_kwargs=options), App.create_app(blocks(), app_kwargs=keeps)


@pytest.mark.slow
@pytest.mark.parametrize("under", ["", "/kvdemo"])
@pytest.mark.parametrize("root_path", ["", "/kvdemo", "https://proxy.example/kvdemo"])
@pytest.mark.parametrize("path", [*KEPT, "/config/", f"{INFO}/", f"{INFO}?all_endpoints=1", f"{INFO}?all_endpoints="])
def test_an_answer_is_as_gradio_makes_it_for_its_address(
    path: str, root_path: str, under: str, theirs_and_ours: tuple[App, App]
) -> None:
    """With the path of a proxy, and without it: a proxy may take it from what it asks for."""
    if under and root_path != under:
        pytest.skip("there is nothing under this path")
    for app in theirs_and_ours:
        app.root_path = root_path
    gradios, ours = map(TestClient, theirs_and_ours)
    for sent in ASKED:
        theirs_and_ours[0].api_info = None  # which Gradio keeps for the first who asks
        expected, answer = gradios.get(f"{under}{path}", headers=sent), ours.get(f"{under}{path}", headers=sent)
        if path == PAGE:
            assert answer.content == expected.content.replace(b"</head>", LINK + b"</head>", 1)
        else:
            assert answer.json() == expected.json()


@pytest.mark.slow
@pytest.mark.parametrize("first", [INFO, "/gradio_api/openapi.json", "/gradio_api/call/v2/race", PAGE, "/config"])
def test_who_asks_first_is_in_nobody_elses_answers(first: str, theirs_and_ours: tuple[App, App]) -> None:
    ours = TestClient(theirs_and_ours[1])
    ours.request("POST" if "call" in first else "GET", first, headers={"host": "evil.example"}, json={})
    for path in KEPT:
        answer = ours.get(path, headers={"host": "good.example"})
        assert answer.status_code == 200
        assert "evil" not in answer.text
    assert "http://good.example/gradio_api/call" in ours.get(INFO, headers={"host": "good.example"}).text


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
