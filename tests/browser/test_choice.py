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
from .conftest import Serve, Visit
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


def test_the_text_figures_open_in_all_lanes_and_mark_a_repetitive_text(url: str, visit: Visit) -> None:
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


def test_the_sampler_of_a_lane_is_shown_when_its_name_is_cut_off(url: str, visit: Visit) -> None:
    page = visit(url, width=1024)
    race(page)
    card = page.locator(".kv-lane").nth(1)
    expect(card.locator("h3")).to_have_text("DynamicCache · temperature 0.8")
    rule = card.locator(".kv-summary b")
    expect(rule).to_have_text("temperature 0.8")
    ends = "one => [one, one.parentElement].map((each) => each.getBoundingClientRect().right)"
    of_rule, of_line = rule.evaluate(ends)
    assert of_rule < of_line


STAGES = [("model", 50_000, 4.25), ("temperature 0.8", 50_000, 3.5), ("min-p 0.1", 2, 0.9)]


def candidate(token: int, *probabilities: float | None) -> dict[str, Any]:
    cut = probabilities.index(None) if None in probabilities else None
    return {"token": token, "text": f" w{token}", "probabilities": list(probabilities), "cut": cut}


def chosen_from(**other: Any) -> dict[str, Any]:
    likeliest = [candidate(1, 0.4, 0.5, 0.7), candidate(2, 0.2, 0.22, 0.3), candidate(3, 0.03, 0.02, None)]
    stages = [{"name": name, "survivors": left, "entropy": bits} for name, left, bits in STAGES]
    found = {"stages": stages, "likeliest": likeliest, "chosen": 1, "rank": 2, "drawn": (0.7, 1.0)}
    return {"candidates": found | other, "reason": ""}


@pytest.fixture
def asked(visit: Visit, serve: Serve) -> tuple[Page, ScriptedBackend]:
    """A race that is over, on a server that tells what each token was chosen from."""
    backend = script()
    backend.chosen_from = chosen_from()
    page = visit(serve(backend))
    race(page)
    return page, backend


def test_a_token_shows_its_candidates_after_each_sampler_and_its_draw(asked: tuple[Page, ScriptedBackend]) -> None:
    page, backend = asked
    page.locator(".kv-lane").nth(1).locator(".kv-chip").nth(5).hover()
    card = page.get_by_role("dialog", name="Token")
    expect(card.locator("thead th")).to_have_text(["model", "temperature 0.8", "min-p 0.1"])
    expect(card.locator("tbody tr").nth(1)).to_have_attribute("data-chosen", "")
    expect(card.locator("tbody tr").nth(1).locator("td")).to_have_text(["20 %", "22 %", "30 %"])
    expect(card.locator("tbody tr").nth(2).locator("td")).to_have_text(["3.0 %", "2.0 %", "cut"])
    expect(card.locator("tbody s")).to_have_text(["“ w3”"])
    expect(card.locator("tfoot tr").nth(0).locator("td")).to_have_text(["50,000", "50,000", "2"])
    expect(card.locator("tfoot tr").nth(1).locator("td")).to_have_text(["4.25", "3.50", "0.90"])
    expect(card).to_contain_text("Drawn with a probability of 30 %: number 2 of 2 that were left.")
    shares = card.locator(".kv-fell i").evaluate_all(
        "all => all.map((one) => one.offsetWidth / one.parentElement.offsetWidth)"
    )
    assert shares == pytest.approx([0.7, 0.3], abs=0.02)
    [(run, lane, token)] = backend.asked
    assert run and (lane, token) == (1, 5)


def test_how_a_token_was_chosen_is_announced_and_requested_once(
    asked: tuple[Page, ScriptedBackend],
) -> None:
    page, backend = asked
    page.locator(".kv-lane").nth(1).locator(".kv-text").focus()
    page.keyboard.press("Home")
    expect(page.locator("[aria-live]", has_text="number 2 of 2 that were left")).to_have_count(1)
    page.keyboard.press("ArrowRight")
    expect(page.locator(".kv-inspector header")).to_contain_text("2 of 8")
    expect(page.locator(".kv-stages")).to_be_visible()
    page.keyboard.press("Home")
    expect(page.locator(".kv-inspector header")).to_contain_text("1 of 8")
    expect(page.locator(".kv-stages")).to_be_visible()
    assert [at for _, *at in backend.asked] == [[1, 0], [1, 1]]
    page.locator(".kv-inspector").get_by_role("button", name="Entropy").hover()  # the card stays, and explains itself
    expect(page.locator("#kv-tip")).to_contain_text("How open the choice of a token is")


def test_the_keyboard_reaches_the_terms_of_the_candidates_card_and_returns(
    asked: tuple[Page, ScriptedBackend],
) -> None:
    page, _ = asked
    text = page.locator(".kv-lane").nth(1).locator(".kv-text")
    card = page.locator(".kv-inspector")
    text.focus()
    page.keyboard.press("Home")
    expect(page.locator(".kv-stages")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator(".kv-stages")).to_be_focused()
    for name in ("Tokens left", "Entropy"):
        page.keyboard.press("Tab")
        expect(card.get_by_role("button", name=name)).to_be_focused()
        expect(page.locator("#kv-tip")).to_be_visible()
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()
    expect(text).to_be_focused()
    page.keyboard.press("Home")
    expect(page.locator(".kv-stages")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    expect(text).to_be_focused()
    page.keyboard.press("ArrowRight")  # the card stayed, and follows
    expect(card.locator("header")).to_contain_text("2 of 8")


def test_a_passing_pointer_requests_only_the_token_it_stays_on(
    asked: tuple[Page, ScriptedBackend],
) -> None:
    page, backend = asked
    chips = page.locator(".kv-lane").nth(1).locator(".kv-chip")
    for box in [chip.bounding_box() for chip in chips.all()]:
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator(".kv-stages")).to_be_visible()
    assert backend.asked[-1][1:] == (1, 7)
    assert len(backend.asked) < 8


def test_a_greedy_token_shows_no_draw_and_unknown_candidates_are_explained(asked: tuple[Page, ScriptedBackend]) -> None:
    page, backend = asked
    card = page.get_by_role("dialog", name="Token")
    chip = page.locator(".kv-lane").nth(0).locator(".kv-chip")
    stages = [{"name": "model", "survivors": 50_000, "entropy": 1.0}]
    greedy = {"stages": stages, "likeliest": [candidate(7, 0.8)], "chosen": 0, "rank": 1, "drawn": None}
    backend.chosen_from = chosen_from(**greedy)
    chip.nth(0).click()
    expect(card).to_contain_text("Nothing was drawn: the likeliest token is taken.")
    expect(card.locator(".kv-fell")).to_have_count(0)
    backend.chosen_from = {"candidates": None, "reason": "Only the latest races are kept."}
    chip.nth(1).click()
    expect(card).to_contain_text("Only the latest races are kept.")
    page.route("**/run/candidates", lambda route: route.fulfill(status=200, body="no answer"))
    chip.nth(2).click()
    expect(card).to_contain_text("The server does not answer")


def test_a_lane_without_candidates_says_why_and_requests_none(visit: Visit, serve: Serve) -> None:
    why = "A search keeps whole texts."
    backend = script()
    begins = Started((replace(GREEDY, no_candidates=why),), "Hi", PROMPT, 8, "fair", MODEL)
    ends = [Ended(0, "length"), Finished({"schema": 1, "model": MODEL}, verdict("Done."))]
    backend.batches = [[begins], [chosen(0, 7, -0.25)], ends]
    page = visit(serve(backend))
    race(page)
    page.locator(".kv-chip").hover()
    expect(page.get_by_role("dialog", name="Token")).to_contain_text(why)
    assert backend.asked == []


def test_on_a_phone_the_candidates_of_many_samplers_stay_inside_the_window(visit: Visit, serve: Serve) -> None:
    backend = script()
    names = ["model", "repetition penalty 1.1", "temperature 1.2", "top-k 20", "top-p 0.95", "min-p 0.1"]
    stages = [{"name": name, "survivors": 49_152, "entropy": 12.5} for name in names]
    likeliest = [candidate(n, *[0.1] * len(names)) for n in range(10)]
    backend.chosen_from = chosen_from(stages=stages, likeliest=likeliest, drawn=(0.1, 0.2))
    page = visit(serve(backend), width=390, height=844)
    race(page)
    page.locator(".kv-lane").nth(1).locator(".kv-chip").nth(2).click()
    expect(page.locator(".kv-stages tbody tr")).to_have_count(10)
    box = page.locator(".kv-inspector").bounding_box()
    assert box is not None
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["y"] >= 0 and box["y"] + box["height"] <= 844
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    rows = page.locator(".kv-stages tbody th").first
    left = rows.evaluate("one => one.getBoundingClientRect().left")
    page.locator(".kv-stages").evaluate("one => one.scrollLeft = 1000")
    expect(page.locator(".kv-stages thead th").last).to_be_in_viewport()
    assert rows.evaluate("one => one.getBoundingClientRect().left") == left  # the tokens stay beside the figures
