"""How a lane chose its tokens: how likely each was, and how the text reads that came of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from kvdemo.core.events import Ended, Finished, Started, TokensCommitted
from kvdemo.core.types import Choice, LaneInfo, Step, TimedStep
from tests.scripted import verdict
from tests.web.scripted_backend import MODEL, ScriptedBackend

from .actions import race
from .conftest import Visit
from .scripted import scripted_page

#: Ids and log-probabilities of each lane: one goes round, one does not, one is another machine's and says neither.
LOOP, STORY = [7, 8] * 4, [1, 2, 3, 4, 5, 6, 7, 8]
LIKELY, UNLIKELY = [-0.25] * 8, [-1.0, -3.0] * 4
PROMPT = 4
GREEDY = LaneInfo("dynamic_cache", "DynamicCache", "One position a step.", lossless=True)
DRAWN = replace(GREEDY, name="DynamicCache · temperature 0.8", sampling={"temperature": 0.8})
ELSEWHERE = LaneInfo("remote", "Remote", "Another machine decodes.", lossless=False, elsewhere=True)


def chosen(lane: int, token: int, logprob: float) -> TokensCommitted:
    step = Step((Choice(token, logprob, 9, -2.0, None if lane == 2 else 1.25),), positions=1, cache_bytes=9)
    return TokensCommitted(lane, TimedStep(step, 0.01), (f" {token}",))


def script() -> ScriptedBackend:
    begins = Started((GREEDY, DRAWN, ELSEWHERE), "Hi", PROMPT, 8, "fair", MODEL)
    tokens = [
        chosen(lane, token, logprob)
        for lane, (ids, logprobs) in enumerate([(LOOP, LIKELY), (STORY, UNLIKELY), ([-1] * 8, [float("nan")] * 8)])
        for token, logprob in zip(ids, logprobs, strict=True)
    ]
    ends = [*(Ended(lane, "length") for lane in range(3)), Finished({"schema": 1, "model": MODEL}, verdict("Done."))]
    return ScriptedBackend(batches=[[begins], tokens, ends])


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with scripted_page(script()) as address:
        yield address


def reading(page: Page, lane: int) -> dict[str, str]:
    """The figures on a lane's text, by name."""
    figures = page.locator(".kv-lane").nth(lane).locator(".kv-reading [data-metric]")
    return {str(one.get_attribute("data-metric")): one.locator("dd").inner_text() for one in figures.all()}


def drawn(page: Page) -> list[list[Any]]:
    """The points of each line of the chart."""
    lines: list[list[Any]] = page.evaluate("document.querySelector('.kv-plot').data.map(line => line.y)")
    return lines


def test_the_figures_of_a_text_open_in_all_lanes_and_tell_a_loop_from_a_story(url: str, visit: Visit) -> None:
    page = visit(url)
    race(page)
    folds = page.locator(".kv-reading")
    expect(folds.nth(0)).to_contain_text("perplexity 1.28")
    expect(folds.nth(0).locator("dl")).to_be_hidden()
    folds.nth(1).locator("summary").focus()
    page.keyboard.press("Enter")
    expect(folds.nth(0).locator("dl")).to_be_visible()
    assert reading(page, 0) == {
        "mean_logprob": "−0.25", "perplexity": "1.28", "distinct_2": "29 %", "repeated_4gram": "60 %",
    }  # fmt: skip
    assert reading(page, 1) == {
        "mean_logprob": "−2.00", "perplexity": "7.39", "distinct_2": "100 %", "repeated_4gram": "0 %",
    }  # fmt: skip
    expect(folds.nth(2)).to_be_hidden()  # neither ids nor probabilities are known
    folds.nth(0).get_by_role("button", name="Perplexity").hover()
    expect(page.locator("#kv-tip")).to_contain_text("its own text")
    race(page)  # the next race's lanes are open as these were
    expect(page.locator(".kv-reading dl").first).to_be_visible()


def test_the_chart_shows_probabilities_and_entropies_and_marks_the_pointed_token(url: str, visit: Visit) -> None:
    page = visit(url)
    race(page)
    page.wait_for_selector(".kv-plot .main-svg")
    expect(page.locator(".kv-chartsaid")).to_be_hidden()
    page.get_by_role("button", name="Log-probability").click()
    expect(page.locator(".kv-chart h3")).to_have_text("How likely each token was")
    expect(page.locator(".kv-chartsaid")).to_contain_text("before any rule")
    assert drawn(page) == [LIKELY, UNLIKELY, [None] * 8]
    expect(page.locator(".kv-plot .ytitle")).to_have_text("ln p")
    page.get_by_role("button", name="Entropy").click()
    assert drawn(page) == [[1.25] * 8, [1.25] * 8, [None] * 8]
    expect(page.locator(".kv-plot .ytick").last).to_contain_text("bits")
    page.get_by_role("button", name="Log-probability").click()
    page.locator(".kv-frame").scroll_into_view_if_needed()
    box = page.locator(".kv-plot .nsewdrag").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 3 / 7, box["y"] + box["height"] - 2)  # the dip of the fourth token
    expect(page.locator(".kv-lane").nth(1).locator(".kv-current")).to_have_text(" 4")
    expect(page.locator(".kv-pointers i[data-faint=false]")).to_have_count(1)
    page.mouse.move(0, 0)
    expect(page.locator(".kv-current")).to_have_count(0)


def test_the_rule_of_a_lane_is_read_though_its_name_is_cut_short(url: str, visit: Visit) -> None:
    page = visit(url, width=1024)
    race(page)
    card = page.locator(".kv-lane").nth(1)
    expect(card.locator("h3")).to_have_text("DynamicCache · temperature 0.8")
    rule = card.locator(".kv-summary b")
    expect(rule).to_have_text("temperature 0.8")
    ends = "one => [one, one.parentElement].map((each) => each.getBoundingClientRect().right)"
    of_rule, of_line = rule.evaluate(ends)
    assert of_rule < of_line
