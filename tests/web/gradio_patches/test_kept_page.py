"""The page names its icon in what is sent, so that no browser looks for one at the root of the site."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from kvdemo.web.gradio_patches.icon import LINK, NamedIcon
from kvdemo.web.theme import launch_options

PAGE = "<html><head><title>é</title></head><body></head></body></html>"


def visitor(response: Response) -> TestClient:
    routes = [Route(path, lambda _: response) for path in ("/", "/other")]
    return TestClient(NamedIcon(Starlette(routes=routes)))


def test_the_page_is_sent_with_its_icon() -> None:
    answer = visitor(HTMLResponse(PAGE)).get("/?prompt=x")
    assert answer.content == PAGE.encode().replace(b"</head>", LINK + b"</head>", 1)
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize(
    ("path", "response"), [("/other", HTMLResponse(PAGE)), ("/", PlainTextResponse("</head>")), ("/", Response())]
)
def test_other_answers_are_sent_unchanged(path: str, response: Response) -> None:
    assert visitor(response).get(path).content == response.body


def test_the_launched_server_sends_the_icon() -> None:
    assert NamedIcon in [one.cls for one in launch_options()["app_kwargs"]["middleware"]]
