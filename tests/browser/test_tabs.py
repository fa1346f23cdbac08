"""A tab is put on the page when it is first opened, so that the page is ready as soon with many tabs as with one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from kvdemo.core.errors import BadInput
from kvdemo.core.visitor import Visitor
from kvdemo.web.backend import Form
from tests.web.scripted_backend import ScriptedBackend

from .conftest import Visit
from .scripted import scripted_page


class Script(ScriptedBackend):
    """Has no plan to draw."""

    def plan(self, form: Form, visitor: Visitor) -> dict[str, Any]:  # noqa: ARG002
        raise BadInput(f"No plan for {form['model']}.")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with scripted_page(Script()) as address:
        yield address


def named(page: Page) -> list[str]:
    """The tabs that the header names."""
    ids: list[str] = page.eval_on_selector_all(".kv-tabbutton", "buttons => buttons.map(button => button.id)")
    return [element_id.removeprefix("kv-tabbutton-") for element_id in ids]


def mounted(page: Page) -> list[str]:
    """The tabs that have elements on the page."""
    ids: list[str] = page.eval_on_selector_all(".kv-tab", "tabs => tabs.map(tab => tab.id)")
    return [element_id.removeprefix("kv-tab-") for element_id in ids]


def settled(page: Page) -> None:
    """Wait until a control of the tab that is open can be used."""
    page.wait_for_selector(".kv-tab:visible :is(input, textarea, button):visible")


def test_no_control_of_a_tab_is_on_the_page_before_the_tab_is_opened(url: str, visit: Visit) -> None:
    page = visit(url)
    names = named(page)
    assert len(names) > 3
    for place, name in enumerate(names):
        assert mounted(page) == names[: place or 1]
        page.click(f"#kv-tabbutton-{name}")
        expect(page.locator(f"#kv-tab-{name}")).to_be_visible()
        settled(page)
    assert mounted(page) == names


def test_a_link_to_a_tab_mounts_that_tab_and_the_first(url: str, visit: Visit) -> None:
    for name in ("measure", "compare", "plan"):
        page = visit(url, tab=name)
        settled(page)
        expect(page.locator(f"#kv-tab-{name}")).to_be_visible()
        assert mounted(page) == ["race", name]


def test_the_arrow_keys_open_tabs_that_are_not_on_the_page_yet(url: str, visit: Visit) -> None:
    page = visit(url)
    page.focus("#kv-tabbutton-race")
    for name in named(page)[1:]:
        page.keyboard.press("ArrowRight")
        expect(page.locator(f"#kv-tabbutton-{name}")).to_be_focused()
        expect(page.get_by_role("tabpanel", name=page.inner_text(f"#kv-tabbutton-{name}"))).to_be_visible()
        settled(page)


def test_a_reopened_tab_keeps_its_state(url: str, visit: Visit) -> None:
    page = visit(url)
    page.click("#kv-tabbutton-measure")
    page.fill("#kv-m-prompt textarea", "Kept")
    page.click("#kv-tabbutton-race")
    page.click("#kv-tabbutton-measure")
    expect(page.locator("#kv-m-prompt textarea")).to_have_value("Kept")
    expect(page.locator("#kv-m-json, #kv-m-csv, #kv-m-md")).to_have_count(0)  # there is nothing to download yet


def test_tabs_opened_in_quick_succession_are_all_mounted(url: str, visit: Visit) -> None:
    page = visit(url)
    page.evaluate("for (const button of document.querySelectorAll('.kv-tabbutton')) button.click()")
    for name in named(page):
        expect(page.locator(f"#kv-tab-{name}")).to_be_attached()


def test_the_presets_of_a_tab_filled_by_a_link_are_not_pressed(url: str, visit: Visit) -> None:
    page = visit(url, tab="measure", prompt="From a link", repeats=7)
    expect(page.locator("#kv-m-prompt textarea")).to_have_value("From a link")
    expect(page.locator("#kv-m-repeats input")).to_have_value("7")
    expect(page.locator("#kv-m-start")).to_be_enabled()
    expect(page.locator("#kv-m-stop")).to_be_disabled()
    expect(page.locator("#kv-m-presets button[aria-pressed=true]")).to_have_count(0)
