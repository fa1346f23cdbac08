"""The browser's half as it is served: every file is reached, kept by the browser, and harmless."""

import json
import os
import re
import sys
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from kvdemo.core.figures.metrics import SAME
from kvdemo.core.types import BOUNDS
from kvdemo.web import assets
from kvdemo.web.assets import FRONTEND
from kvdemo.web.words.figures import DEFINITIONS
from kvdemo.web.words.glossary import GLOSSARY
from tests.serving import ROOT

SCRIPTS = [path for path in assets.files() if path.suffix == ".js"]
STYLES = [path for path in assets.files() if path.suffix == ".css"]
IMPORT = re.compile(r"""^(?:import|export) .*?from "(.+?)";|^@import "(.+?)";|await import\("(.+?)"\)""", re.MULTILINE)


def source(path: Path) -> str:
    return (FRONTEND / path).read_text("utf-8")


def reached(*starts: str) -> set[Path]:
    """The files that these name, and those that they name in turn."""
    found, ahead = set(), [Path(start) for start in starts]
    while ahead:
        path = ahead.pop()
        if path not in found:
            found.add(path)
            names = ["".join(found) for found in IMPORT.findall(source(path))]
            ahead += [Path(os.path.normpath(path.parent / name)) for name in names]
    return found


def test_every_file_is_imported_from_the_head() -> None:
    assert reached("main.js", "styles/main.css") | {Path("early.js")} == set(assets.files())


def test_base_imports_no_module_of_the_tabs() -> None:
    base = {path.as_posix() for path in SCRIPTS if path.parts[0] == "base"}
    assert {path.parts[0] for path in reached(*base)} == {"base"}


@pytest.mark.parametrize("path", SCRIPTS, ids=str)
def test_scripts_never_make_markup_from_text(path: Path) -> None:
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|</script", source(path)
    )


@pytest.mark.parametrize("path", assets.files(), ids=str)
def test_no_file_requests_another_host(path: Path) -> None:
    text = source(path).replace("http://www.w3.org/2000/svg", "")  # a name, not an address
    assert not re.search(r"https?://|//cdn", text)


def test_a_browser_may_keep_every_file_that_the_head_names() -> None:
    with TestClient(Starlette(routes=assets.routes())) as client:
        named = re.findall(r"""(?:href|src)="\./(frontend/.+?)\"""", assets.head())
        assert len(named) == len(assets.preloaded()) + 2  # main.js twice, and the styles
        later = [f"{assets.address()}/{path.as_posix()}" for path in [*SCRIPTS, Path("plotly.min.js")]]
        for address in [*named, *later]:
            answer = client.get(f"/{address}")
            assert answer.status_code == 200, address
            assert "immutable" in answer.headers["cache-control"], address
            kind = "css" if address.endswith("css") else "javascript"
            assert kind in answer.headers["content-type"], address  # a browser runs no module of another type
        assert client.get("/frontend/0123456789abcdef/main.js").status_code == 404


def test_the_head_preloads_no_script_of_a_tab_that_is_opened_later() -> None:
    folders = {path.parts[0] for path in assets.preloaded()}
    assert {"race", "form", "shell"} <= folders
    assert not folders & {"measure", "compare", "plan", "inside"}


def test_the_head_preloads_no_script_that_only_a_running_race_needs() -> None:
    named = {path.as_posix() for path in assets.preloaded()}
    assert {"race/stage.js", "race/preview.js"} <= named
    assert not named & {f"race/{name}.js" for name in ("view", "wire", "chart", "lanes/lane", "token/token_card")}
    assert not any(re.search("race/(beams|predict|verdict)/|lane_picture|overview|line_chart", name) for name in named)


def test_the_styles_are_one_file_without_imports() -> None:
    text = assets.styles()
    assert "@import" not in text
    assert all(source(path) in text for path in STYLES if path.name != "main.css")


def test_the_address_changes_when_any_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "FRONTEND", tmp_path)
    addresses = set()
    for name, text in (("a.js", "1"), ("a.js", "2"), ("b.css", "2")):
        (tmp_path / name).write_text(text)
        addresses.add(assets.address())
    assert len(addresses) == 3


def test_a_definition_cannot_close_the_script_element_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "DEFINITIONS", {"bad": {"text": "</script><img src=x>"}})
    assert "<img" not in assets.head()


def test_the_head_states_the_constants_that_python_and_the_browser_share() -> None:
    """Or the browser would say "undefined" for what binds a step, and call equal times different."""
    stated = re.search(r"Object\.assign\(kvdemo, (\{.*?\})\);", assets.head())
    assert stated
    facts = json.loads(stated[1])
    assert facts["bounds"] == dict(BOUNDS)
    assert facts["same"] == SAME
    assert facts["definitions"].keys() == DEFINITIONS.keys() | GLOSSARY.keys()


def test_the_page_tells_no_path_of_the_server(tiny_app: str) -> None:
    """Where plotly's script lies in the file system, for one: it was once said to every visitor."""
    for path in ("", "config", "gradio_api/info", "healthz"):
        told = httpx.get(f"{tiny_app}{path}", timeout=60).text
        for place in ("site-packages", sys.prefix, str(ROOT)):
            assert place not in told, (path, place)
