"""One browser for all tests; a fresh visitor for each, who notes every request and every complaint."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

from tests.web.scripted_backend import ScriptedBackend

from .scripted import scripted_page

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE_MS = 120_000
expect.set_options(timeout=PATIENCE_MS)  # a busy machine is slow, not wrong

# Whether the form is filled, in a page that has one: it may not have been drawn yet.
FILLED = """() => {
    const race = document.querySelector("#kv-race");
    return race ? !race.disabled : !gradio_config.components.some(({ props }) => props.elem_id === "kv-race");
}"""

Serve = Callable[[ScriptedBackend], str]
Visit = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The Chromium on the PATH, or Playwright's own. KVDEMO_REQUIRE_BROWSER makes a missing one a failure."""
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        except Error as error:
            if os.environ.get("KVDEMO_REQUIRE_BROWSER"):
                raise
            pytest.skip(f"no Chromium: {error.message.splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def script() -> ScriptedBackend:
    """What the page of a file's tests runs on."""
    return ScriptedBackend()


@pytest.fixture(scope="module")
def url(script: ScriptedBackend) -> Iterator[str]:
    """The address of that page. A file with another backend has fixtures of its own."""
    with scripted_page(script) as address:
        yield address


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve the page on a backend of one test's own; return its address."""
    with ExitStack() as running:
        yield lambda script: running.enter_context(scripted_page(script))


@pytest.fixture
def visit(browser: Browser, serve: Serve) -> Iterator[Visit]:  # noqa: ARG001 - pages that outlive a server complain
    """Open a page: `visit(url, prompt="Hi", tokens=8, width=390)`. At the end, every page must have behaved."""
    contexts, hosts, complaints = [], set(), []

    def open_page(url: str, *, width: int = 1440, height: int = 900, **query: object) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        context.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(f"{url}?{urlencode(query)}", wait_until="load")
        page.wait_for_selector("#kv-header:has-text('cpu')")  # the model is loaded
        # A page with a form holds what the link asks for; what is entered before that is overwritten.
        # By default it polls by frames, of which a browser on a busy machine draws few.
        page.wait_for_function(FILLED, polling=100)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert hosts <= {"127.0.0.1", None}, f"the page asked other hosts: {hosts}"
    assert not complaints
