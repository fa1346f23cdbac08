"""The server ends under an open page and is started again: the page goes on by itself, with what its forms held."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.server.test_full_disk import full
from tests.serving import free_port, running

from .actions import finish, race, wait_for_tokens
from .conftest import PATIENCE_MS

pytestmark = pytest.mark.slow

PROMPT = "A prompt that somebody has typed, “quoted” and all.\n\nIt has three lines."
SENTENCE = "The server does not answer. This page goes on as soon as it does."


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that may complain: it asks a server that is not there."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield page
    context.close()


def arrive(page: Page, url: str) -> None:
    page.goto(f"{url}?chat=0&ignore_eos=1&lanes=no_cache,dynamic_cache")
    page.wait_for_selector("#kv-header:has-text('cpu')")
    may_start(page)


def may_start(page: Page) -> None:
    page.wait_for_function(
        "() => document.querySelector('#kv-race')?.disabled === false && !document.querySelector('.kv-missing')",
        polling=100,
    )


def type_in(page: Page, tokens: int) -> None:
    page.fill("#kv-prompt textarea", PROMPT)
    page.fill("#kv-tokens input[type=number]", str(tokens))
    page.press("#kv-tokens input[type=number]", "Tab")


def expect_as_typed(page: Page, tokens: int) -> None:
    expect(page.locator("#kv-prompt textarea")).to_have_value(PROMPT)
    expect(page.locator("#kv-tokens input[type=number]")).to_have_value(str(tokens))


def end(app: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """End a server; one that is asked to does it in good order, whoever has its page open."""
    app.send_signal(how)
    app.wait(5)


@pytest.fixture
def settings(tiny_folder: Path) -> dict[str, str]:
    return {"KVDEMO_MODEL": str(tiny_folder), "KVDEMO_DEVICE": "cpu"}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_an_idle_page_reloads_with_its_forms_after_a_restart_and_can_race(
    page: Page, settings: dict[str, str], how: signal.Signals
) -> None:
    port = free_port()
    with running(settings, port=port) as (url, app):
        arrive(page, url)
        type_in(page, tokens=12)
        race(page)
        end(app, how)
    expect(page.locator(".kv-missing")).to_have_text(SENTENCE)
    expect(page.locator("#kv-race")).to_be_disabled()
    with running(settings, port=port):
        may_start(page)
        expect_as_typed(page, tokens=12)
        race(page)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_page_whose_race_was_lost_reloads_with_its_forms(
    page: Page, settings: dict[str, str], how: signal.Signals
) -> None:
    port = free_port()
    with running(settings, port=port) as (url, app):
        arrive(page, url)
        page.click("#kv-tabbutton-inside")
        page.fill("#kv-i-prompt textarea", "Another text")
        page.click("#kv-tabbutton-race")
        type_in(page, tokens=1500)
        page.click("#kv-race")
        wait_for_tokens(page, 5)
        end(app, how)
    page.wait_for_selector(".kv-missing, .toast-body:has-text('Connection Lost')")
    with running(settings, port=port):
        may_start(page)
        expect_as_typed(page, tokens=1500)
        page.click("#kv-tabbutton-inside")
        expect(page.locator("#kv-i-prompt textarea")).to_have_value("Another text")
        page.click("#kv-tabbutton-race")
        page.fill("#kv-tokens input[type=number]", "12")
        page.press("#kv-tokens input[type=number]", "Tab")
        race(page)


def test_on_a_full_disk_a_race_is_shown_without_downloads(page: Page, settings: dict[str, str]) -> None:
    with running(settings) as (url, app):
        arrive(page, url)
        with full(app):
            page.click("#kv-race")
            page.wait_for_selector(".kv-strip[data-state=finished]")
            expect(page.locator(".toast-body")).to_contain_text("The server's disk takes no files now")
            expect(page.locator("#kv-json")).to_be_hidden()
            may_start(page)
        page.click("#kv-race")
        finish(page)
