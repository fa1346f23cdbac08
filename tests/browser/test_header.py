"""The header in a browser: the details of the model behind its name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.web.scripted_backend import MODEL, ScriptedBackend

from .conftest import Serve, Visit
from .scripted import scripted_page


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with scripted_page(ScriptedBackend()) as address:
        yield address


def test_a_click_on_the_model_does_not_close_what_the_mouse_has_opened(url: str, visit: Visit) -> None:
    page = visit(url)
    details = page.locator("#kv-details")
    page.click(".kv-pill")
    expect(details).to_be_visible()
    page.keyboard.press("Escape")
    expect(details).to_be_hidden()
    page.click(".kv-pill")
    expect(details).to_be_visible()
    page.mouse.move(200, 600)
    expect(details).to_be_hidden()


def test_the_details_say_which_attention_the_model_runs(serve: Serve, visit: Visit) -> None:
    model = MODEL | {"attention": "sdpa: flash, efficient, math"}
    page = visit(serve(ScriptedBackend(statuses=[{"state": "ready", "text": "", "model": model}])))
    page.click(".kv-pill")
    expect(page.locator("#kv-details")).to_contain_text("sdpa: flash, efficient, math")


def test_the_keyboard_opens_and_closes_the_details_of_the_model(url: str, visit: Visit) -> None:
    page = visit(url)
    details = page.locator("#kv-details")
    page.focus(".kv-pill")
    page.keyboard.press("Enter")
    expect(details).to_be_visible()
    page.keyboard.press("Enter")
    expect(details).to_be_hidden()
