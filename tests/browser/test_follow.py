"""Lines that follow a form: however the answers come, the last one that is shown is to the form as it stands."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from kvdemo.core.visitor import Visitor
from kvdemo.web.backend import Form
from tests.browser.actions import race
from tests.browser.conftest import Serve, Visit
from tests.browser.scripted import scripted_page
from tests.web.scripted_backend import ScriptedBackend


class Slow(ScriptedBackend):
    """Answers with the prompt that it was asked about, and can be held up."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.estimated: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def _hold(self, form: Form) -> str:
        self.asked.append(form["prompt"])
        self.gate.wait()
        return str(form["prompt"])

    def wait_for_more_than(self, asked: int) -> None:
        """Wait until another question has arrived."""
        deadline = time.monotonic() + 60
        while len(self.asked) == asked:
            assert time.monotonic() < deadline, "the page did not ask"
            time.sleep(0.02)

    def fit(self, form: Mapping[str, Any], visitor: Visitor) -> dict[str, Any] | None:  # noqa: ARG002
        words = len(self._hold(form).split())
        return {"prompt_tokens": words, "context_length": 100, "max_new_tokens": 100 - words}

    def estimate(self, form: Mapping[str, Any], visitor: Visitor) -> str:  # noqa: ARG002
        self.estimated.append(form["prompt"])
        return f"About {self._hold(form)}"


@pytest.fixture(scope="module")
def slow() -> Slow:
    return Slow()


@pytest.fixture(scope="module")
def url(slow: Slow) -> Iterator[str]:
    with scripted_page(slow) as address:
        yield address


def burst(page: Page, slow: Slow, box: str) -> None:
    """Change the prompt several times while the server is still at the first change."""
    slow.gate.clear()
    try:
        asked = len(slow.asked)
        page.fill(box, "one")
        slow.wait_for_more_than(asked)
        for text in ("one two", "one two three", "one two three four"):
            page.fill(box, text)
            page.wait_for_timeout(400)
    finally:
        slow.gate.set()


def test_the_token_budget_follows_the_prompt(url: str, slow: Slow, visit: Visit) -> None:
    page = visit(url)
    line = page.locator("#kv-tokens .info-text")
    expect(line).to_contain_text("4 prompt tokens of 100: room for 96")  # "What is KV caching?"
    burst(page, slow, "#kv-prompt textarea")
    expect(line).to_contain_text("4 prompt tokens of 100")


def test_the_estimate_of_a_measurement_follows_its_form(url: str, slow: Slow, visit: Visit) -> None:
    page = visit(url, tab="measure")
    line = page.locator("#kv-m-estimate p")
    expect(line).to_have_text("About What is KV caching?")
    burst(page, slow, "#kv-m-prompt textarea")
    expect(line).to_have_text("About one two three four")


def test_a_closed_tab_requests_its_estimate_when_it_is_opened(url: str, slow: Slow, visit: Visit) -> None:
    page = visit(url)
    expect(page.locator("#kv-tokens .info-text")).to_contain_text("of 100")
    asked = len(slow.estimated)
    page.wait_for_timeout(600)
    assert len(slow.estimated) == asked
    page.get_by_role("tab", name="Measure").click()
    expect(page.locator("#kv-m-estimate p")).to_have_text("About What is KV caching?")
    assert len(slow.estimated) > asked


class Lending(ScriptedBackend):
    """Lends a GPU by the second, and knows what a step takes once a race has run."""

    def gpu_cost(self, form: Form) -> str | None:
        return f"It asks for {form['max_new_tokens']} GPU seconds, {'as seen' if self.forms else 'predicted'}."


@pytest.fixture
def lending(serve: Serve) -> str:
    return serve(Lending())


def test_the_gpu_seconds_of_a_race_follow_its_form_on_zerogpu(lending: str, visit: Visit) -> None:
    page = visit(lending)
    line, tokens = page.locator("#kv-gpu-cost"), page.locator("#kv-tokens input[type=number]")
    expect(line).to_have_text("It asks for 128 GPU seconds, predicted.")
    tokens.fill("40")
    expect(line).to_have_text("It asks for 40 GPU seconds, predicted.")
    expect(tokens).to_have_value("40")
    race(page)
    expect(line).to_have_text("It asks for 40 GPU seconds, as seen.")
