"""Predict, then run: off unless asked for, never in the way, and honest about what was guessed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from kvdemo.core.events import Ended, Finding, Finished, RaceEvent, Verdict
from tests.web.scripted_backend import MODEL, ScriptedBackend, committed, started

from .actions import finish, wait_until
from .conftest import Visit
from .scripted import scripted_page

TOKENS = 40


def batches() -> list[list[RaceEvent]]:
    """A lane that slows down from 80 to 160 ms a token, and one that takes 33 ms: 3.5 times as fast."""
    made: list[list[RaceEvent]] = [[started(max_new_tokens=TOKENS)]]
    for i in range(TOKENS):
        steady = 0.09 if i == 0 else 0.033 + 0.001 * math.sin(i)
        made.append([committed(0, (" a",), 0.08 + 0.002 * i), committed(1, (" a",), steady)])
    won = Finished({"schema": 1, "model": MODEL}, Verdict((Finding("faster", (1, 0), {}, "Won."),)))
    return [*made, [Ended(0, "length"), Ended(1, "length"), won]]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with scripted_page(ScriptedBackend(batches=batches())) as address:
        yield address


def draw(page: Page, lane: str, heights: list[float]) -> None:
    """Draw a curve from left to right, as shares of the sheet's height."""
    page.locator(".kv-guess").get_by_role("button", name=lane).click()
    sheet = page.locator(".kv-sheetarea")
    sheet.scroll_into_view_if_needed()
    box = sheet.bounding_box()
    assert box
    for i, height in enumerate(heights):
        page.mouse.move(box["x"] + box["width"] * i / (len(heights) - 1), box["y"] + box["height"] * (1 - height))
        if i == 0:
            page.mouse.down()
    page.mouse.up()


def test_predict_first_is_off_by_default(url: str, visit: Visit) -> None:
    page = visit(url)
    expect(page.locator(".kv-guess")).to_be_hidden()
    expect(page.locator(".kv-sketch")).to_be_hidden()
    page.get_by_role("button", name="Predict first").click()
    expect(page.locator(".kv-guess")).to_be_visible()
    assert "predict=1" in page.url
    page.click("#kv-share")
    expect(page.locator(".kv-sharecard input[type=text]")).to_have_value(re.compile("predict=1"))


def test_a_guess_is_compared_with_the_measured_race_and_shown_beside_it(url: str, visit: Visit) -> None:
    page = visit(url, predict=1)
    page.get_by_label("Your guess: times as fast").fill("7")
    draw(page, "Re-encoding", [0.45 + 0.45 * i / 6 for i in range(7)])
    draw(page, "DynamicCache", [0.15] * 7)
    page.click("#kv-race")
    finish(page)
    said = page.locator(".kv-outcome li")
    expect(said.nth(0)).to_contain_text("is 7.00× as fast as Re-encoding; it was 3.4")
    expect(said.nth(0)).to_contain_text("too much.")
    expect(said.nth(1)).to_contain_text("Re-encoding: you drew its last tokens")
    expect(said.nth(2)).to_contain_text("DynamicCache: you drew its last tokens 1.00× as slow as its first ones")
    expect(page.locator(".kv-sketch")).to_be_hidden()
    dashes = "() => document.querySelector('.kv-plot').data.map((trace) => trace.line.dash === 'dash')"
    wait_until(page, f"() => ({dashes})()?.length === 4")
    assert page.evaluate(dashes) == [False, False, True, True]
    page.get_by_role("button", name="Guess again").click()
    expect(page.locator(".kv-sketch")).to_be_visible()


def test_a_finished_race_stays_visible_until_the_reader_draws(url: str, visit: Visit) -> None:
    page = visit(url)
    page.click("#kv-race")
    finish(page)
    page.get_by_role("button", name="Predict first").click()
    expect(page.locator(".kv-guess")).to_be_visible()
    expect(page.locator(".kv-sketch")).to_be_hidden()
    page.locator(".kv-guess").get_by_role("button", name="DynamicCache").click()
    expect(page.locator(".kv-sketch")).to_be_visible()


def test_a_verdict_links_to_the_sweep_over_lengths(url: str, visit: Visit) -> None:
    page = visit(url)
    page.click("#kv-race")
    finish(page)
    page.get_by_role("button", name="When is the gain small?").click()
    expect(page.get_by_role("button", name="Sweep", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#kv-m-sweep-prompt :is(input, textarea)")).to_have_value(re.compile("16, ?128"))


def test_a_guess_can_be_drawn_with_the_keyboard(url: str, visit: Visit) -> None:
    page = visit(url, predict=1)
    first = page.get_by_role("slider", name="Expected latency of Re-encoding, 0 % through")
    before = int(first.get_attribute("aria-valuenow") or "")
    first.focus()
    page.keyboard.press("ArrowDown")
    expect(first).to_have_attribute("aria-valuenow", str(before - 3))
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("slider", name="Expected latency of Re-encoding, 17 % through")).to_be_focused()
    page.keyboard.press("End")
    page.click("#kv-race")
    finish(page)
    expect(page.locator(".kv-outcome li").first).to_contain_text("Re-encoding: you drew its last tokens")


def test_without_a_guess_the_race_runs_and_no_guess_is_judged(url: str, visit: Visit) -> None:
    page = visit(url, predict=1, width=390, height=844)
    expect(page.locator("#kv-race")).to_be_in_viewport()
    page.click("#kv-race")
    finish(page)
    expect(page.locator(".kv-outcome li")).to_have_text(["No guess was made for this race."])
    expect(page.locator(".kv-sketch")).to_be_hidden()  # nothing covers the measured curves
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
