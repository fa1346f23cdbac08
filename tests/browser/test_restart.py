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

from .actions import finish, race, wait_for_tokens, wait_until
from .conftest import PATIENCE_MS

pytestmark = pytest.mark.slow

PROMPT = "A prompt that somebody has typed, “quoted” and all.\n\nIt has three lines."
SENTENCE = "The server does not answer. This page goes on as soon as it does."
BEFORE = "This race ran before the server was started again."
#: A browser that has room for the forms, and not for a race beside them.
FULL = """const { setItem } = Storage.prototype;
Storage.prototype.setItem = function (key, value) {
  if (value.includes('"sheets"')) throw new DOMException("The quota has been exceeded.", "QuotaExceededError");
  setItem.call(this, key, value);
};"""
FORBIDDEN = """Object.defineProperty(window, "sessionStorage", { get() {
  throw new DOMException("The operation is insecure.", "SecurityError");
} });"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that may complain: it asks a server that is not there."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield page
    context.close()


def arrive(page: Page, url: str, more: str = "") -> None:
    page.goto(f"{url}?chat=0&ignore_eos=1&lanes=no_cache,dynamic_cache{more}")
    page.wait_for_selector("#kv-header:has-text('cpu')")
    page.wait_for_selector("#kv-tokens:has-text('room for')")  # until then, the slider ends at a smaller number
    may_start(page)


def may_start(page: Page) -> None:
    wait_until(
        page,
        "() => document.querySelector('#kv-race')?.disabled === false && !document.querySelector('.kv-missing')",
    )


def type_in(page: Page, tokens: int) -> None:
    page.fill("#kv-prompt textarea", PROMPT)
    page.fill("#kv-tokens input[type=number]", str(tokens))
    page.press("#kv-tokens input[type=number]", "Tab")


def expect_as_typed(page: Page, tokens: int) -> None:
    expect(page.locator("#kv-prompt textarea")).to_have_value(PROMPT)
    expect(page.locator("#kv-tokens input[type=number]")).to_have_value(str(tokens))


def texts(page: Page) -> list[str]:
    return page.locator(".kv-lane .kv-text").all_inner_texts()


def expect_race_of_before(page: Page, written: list[str]) -> None:
    """The finished race is shown as what it is, and offers nothing that went with its server."""
    expect(page.locator("#kv-stage .kv-alert")).to_contain_text(BEFORE)
    assert texts(page) == written
    expect(page.locator("#kv-json, #kv-csv")).to_have_count(0)
    page.locator(".kv-lane .kv-chip").first.click()
    expect(page.locator(".kv-inspector")).to_contain_text("What this token was chosen from is not kept")
    page.keyboard.press("Escape")


def end(app: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """End a server; one that is asked to does it in good order, whoever has its page open."""
    app.send_signal(how)
    app.wait(5)


@pytest.fixture
def settings(tiny_folder: Path) -> dict[str, str]:
    return {"KVDEMO_MODEL": str(tiny_folder), "KVDEMO_DEVICE": "cpu"}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_an_idle_page_reloads_with_its_forms_and_its_race_after_a_restart_and_can_race(
    page: Page, settings: dict[str, str], how: signal.Signals
) -> None:
    port = free_port()
    with running(settings, port=port) as (url, app):
        arrive(page, url)
        type_in(page, tokens=12)
        race(page)
        written = texts(page)
        end(app, how)
    expect(page.locator(".kv-missing")).to_have_text(SENTENCE)
    expect(page.locator("#kv-race")).to_be_disabled()
    with running(settings, port=port):
        expect(page.locator("#kv-stage .kv-alert")).to_contain_text(BEFORE)
        may_start(page)
        expect_as_typed(page, tokens=12)
        expect_race_of_before(page, written)
        race(page)
        expect(page.locator("#kv-stage .kv-alert")).to_be_hidden()


def test_a_race_of_before_outlives_each_restart_leads_to_its_steps_and_is_not_run_again_by_its_link(
    page: Page, settings: dict[str, str]
) -> None:
    port = free_port()
    with running(settings, port=port) as (url, app):
        arrive(page, url, "&tokens=12&run=1")
        finish(page)
        written = texts(page)
        end(app, signal.SIGKILL)
    for _ in range(2):
        page.wait_for_selector(".kv-missing")
        with running(settings, port=port) as (_, app):
            expect(page.locator("#kv-stage .kv-alert")).to_contain_text(BEFORE)
            may_start(page)
            page.click("#kv-tabbutton-race")
            page.wait_for_timeout(1000)  # longer than a link waits before it starts a race
            expect_race_of_before(page, written)
            page.get_by_role("button", name="Step through the tokens of DynamicCache").click()
            expect(page.locator("#kv-i-steps")).to_have_attribute("data-state", "shown")
            expect(page.locator("#kv-i-steps")).to_contain_text("step 1 of 12")
            end(app, signal.SIGKILL)


@pytest.mark.parametrize(
    ("script", "said"), [(FULL, "the race that was shown here could not be kept"), (FORBIDDEN, None)]
)
def test_a_page_whose_browser_keeps_no_race_reloads_after_a_restart_and_can_race(
    page: Page, settings: dict[str, str], script: str, said: str | None
) -> None:
    page.add_init_script(script)
    port = free_port()
    with running(settings, port=port) as (url, app):
        arrive(page, url, "&tokens=12")
        race(page)
        end(app, signal.SIGKILL)
    page.wait_for_selector(".kv-missing")
    with running(settings, port=port):
        may_start(page)
        page.wait_for_selector("#kv-stage .kv-strip[data-state=idle]")
        if said:
            expect(page.locator("#kv-stage .kv-alert")).to_contain_text(said)
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
