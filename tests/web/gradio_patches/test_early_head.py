"""The page is sent with its icon and the files that it needs first: no browser looks elsewhere, or waits for Gradio."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from kvdemo.web import assets
from kvdemo.web.gradio_patches.early_head import ICON, EarlyHead
from kvdemo.web.theme import launch_options

LINK = '<link rel="modulepreload" href="./main.js">'
PAGE = "<html><head><title>é</title></head><body></head></body></html>"


def visitor(response: Response) -> TestClient:
    routes = [Route(path, lambda _: response) for path in ("/", "/other")]
    return TestClient(EarlyHead(Starlette(routes=routes), links=LINK))


def test_the_page_is_sent_with_its_icon_and_links() -> None:
    answer = visitor(HTMLResponse(PAGE)).get("/?prompt=x")
    assert answer.text == PAGE.replace("</head>", f"{ICON}{LINK}</head>", 1)
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize(
    ("path", "response"), [("/other", HTMLResponse(PAGE)), ("/", PlainTextResponse("</head>")), ("/", Response())]
)
def test_other_answers_are_sent_unchanged(path: str, response: Response) -> None:
    assert visitor(response).get(path).content == response.body


def test_the_launched_server_names_every_script_that_the_page_begins_with() -> None:
    (early,) = [one for one in launch_options()["app_kwargs"]["middleware"] if one.cls is EarlyHead]
    links = early.kwargs["links"]
    assert all(
        f'rel="modulepreload" href="./{assets.address()}/{path.as_posix()}"' in links for path in assets.preloaded()
    )
