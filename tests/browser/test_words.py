"""The page explains its words where they stand, a strategy in full behind one click, and a KV cache once."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from kvdemo.core.events import Ended, Finding, Finished, Verdict
from kvdemo.server.questions.listings import list_strategies
from kvdemo.web.words.glossary import GLOSSARY
from tests.web.scripted_backend import MODEL, ScriptedBackend, race

from .actions import finish, imported
from .conftest import Visit
from .scripted import scripted_page


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    evil = {"id": "evil", "name": "Evil", "description": "<img src=x onerror=alert(1)> and `<b>`\n\nSecond.",
            "summary": "Evil."}  # fmt: skip
    listed = list_strategies()
    with scripted_page(ScriptedBackend(offered=[*listed, listed[0] | evil])) as address:
        yield address


def word(page: Page, text: str) -> Locator:
    return page.locator(".kv-introbody dfn", has_text=text).first


def test_a_word_is_explained_on_hover_and_on_focus(url: str, visit: Visit) -> None:
    page = visit(url)
    tip = page.locator(".kv-tip")
    word(page, "layer").hover()
    expect(tip).to_contain_text(GLOSSARY["layer"]["text"])
    page.mouse.move(2, 2)
    expect(tip).to_have_count(0)
    word(page, "layer").focus()
    expect(tip).to_contain_text(GLOSSARY["layer"]["text"])
    page.keyboard.press("Tab")
    expect(tip).to_contain_text(GLOSSARY["attention"]["text"])
    page.keyboard.press("Escape")
    expect(tip).to_have_count(0)


def test_a_tap_explains_a_word_and_a_tap_elsewhere_closes_it(url: str, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    page.goto(url)
    word(page, "query").tap()
    expect(page.locator(".kv-tip")).to_contain_text(GLOSSARY["query"]["text"])
    page.locator(".kv-strip h2").tap()
    expect(page.locator(".kv-tip")).to_have_count(0)
    context.close()


def test_words_of_a_verdict_are_marked_once_and_its_sentences_are_unchanged(url: str, visit: Visit) -> None:
    page = visit(url)
    page.click("#kv-race")
    finish(page)
    expect(page.locator(".kv-strip h2")).to_have_text("Won.")
    assert "Twice." in page.locator(".kv-strip").inner_text()
    marked = page.locator(".kv-strip dfn").all_inner_texts()
    assert len(set(marked)) == len(marked)


def test_a_strategy_is_explained_in_full_behind_one_click_in_its_lane_and_in_the_picker(url: str, visit: Visit) -> None:
    page = visit(url, lanes="dynamic_cache,evil")
    card = page.get_by_role("dialog", name="How DynamicCache works")
    lane = page.locator(".kv-lane").first.get_by_role("button", name="How DynamicCache works")
    lane.click()
    expect(card).to_contain_text("A past query is never needed again")
    expect(card.get_by_role("button", name="Close")).to_be_focused()
    page.keyboard.press("Escape")
    expect(card).to_have_count(0)
    expect(lane).to_be_focused()
    page.locator("#kv-lanes").get_by_role("button", name="DynamicCache", exact=True).click()
    expect(card.locator("p")).to_have_count(2)
    expect(page.locator(".kv-lane").first.locator(".kv-summary")).not_to_be_empty()


def test_news_of_the_model_leaves_an_open_card_its_button(url: str, visit: Visit) -> None:
    page = visit(url, lanes="dynamic_cache")
    lane = page.locator(".kv-lane").first.get_by_role("button", name="How DynamicCache works")
    lane.click()
    card = page.get_by_role("dialog", name="How DynamicCache works")
    expect(card.get_by_role("button", name="Close")).to_be_focused()
    news = MODEL | {"dtype": "bfloat16"}
    status = {"state": "ready", "text": "", "model": news, "reasons": {"dynamic_cache": "it needs another model"}}
    imported(page, "base/status.js", "({ takeStatus }, status) => takeStatus(status)", status)
    expect(page.locator(".kv-lane").first).to_contain_text("it needs another model")
    page.keyboard.press("Escape")
    expect(lane).to_be_focused()


def test_markup_in_a_docstring_stays_text(url: str, visit: Visit) -> None:
    page = visit(url, lanes="dynamic_cache,evil")
    page.locator(".kv-lane").nth(1).get_by_role("button", name="How Evil works").click()
    card = page.get_by_role("dialog", name="How Evil works")
    expect(card.locator("p").first).to_have_text("<img src=x onerror=alert(1)> and <b>")
    assert card.locator("img, b").count() == 0
    page.locator(".kv-strip h2").click()
    expect(card).to_have_count(0)


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_the_first_visit_explains_the_cache_and_keeps_race_above_the_fold(
    url: str, browser: Browser, width: int, height: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    page.goto(url)
    expect(page.locator(".kv-introtext")).to_be_in_viewport(ratio=1)
    expect(page.locator("#kv-race")).to_be_in_viewport(ratio=1)
    assert page.locator(".kv-introtext").inner_text().count(".") == 3  # three sentences
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Fold the explanation").click()
    expect(page.locator(".kv-introbody")).to_be_hidden()
    again = context.new_page()
    again.goto(url)
    question = again.get_by_role("button", name="What is a KV cache?")
    expect(question).to_have_attribute("aria-expanded", "false")
    question.click()
    expect(again.locator(".kv-introtext")).to_be_visible()
    context.close()


def test_a_race_folds_the_explanation_and_it_opens_again_with_its_picture(url: str, visit: Visit) -> None:
    page = visit(url)
    expect(page.locator(".kv-introbody")).to_be_visible()
    page.click("#kv-race")
    finish(page)
    expect(page.locator(".kv-introbody")).to_be_hidden()
    page.get_by_role("button", name="What is a KV cache?").click()
    expect(page.locator(".kv-intropictures .kv-steprows")).to_have_count(2)
    expect(page.locator(".kv-intropictures .kv-steprows").first).to_be_visible()


def test_without_local_storage_every_visit_is_a_first_visit(url: str, browser: Browser) -> None:
    context = browser.new_context()
    context.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new Error('denied'); } })")
    for _ in range(2):
        page = context.new_page()
        page.goto(url)
        expect(page.locator(".kv-introtext")).to_be_visible()
        page.get_by_role("button", name="Fold the explanation").click()
        expect(page.locator(".kv-introbody")).to_be_hidden()
    context.close()


@pytest.fixture(scope="module")
def won() -> Iterator[str]:
    findings = (
        Finding("faster", (1, 0), {}, "It won."), Finding("same_text", (1, 0), {}, "Same text."),
        Finding("remark", (1,), {}, "A remark."), Finding("divergence", (1, 0), {"index": 1}, "It departs.", "numeric"),
    )  # fmt: skip
    document = {"schema": 1, "model": MODEL, "prompt": {"text": "My own <text>"}, "settings": {"chat": False}}
    end = [Ended(0, "length"), Ended(1, "length"), Finished(document, Verdict(findings))]
    with scripted_page(ScriptedBackend(batches=[*race()[:3], end])) as address:
        yield address


def test_the_why_link_opens_the_right_panel_with_the_readers_text(won: str, visit: Visit) -> None:
    page = visit(won)
    page.click("#kv-race")
    finish(page)
    whys = page.locator("#kv-stage .kv-whylink")
    assert whys.evaluate_all("links => links.map((link) => link.dataset.panel)") == ["steps", "rounding", "rounding"]
    whys.nth(1).click()
    expect(page.locator("html")).to_have_attribute("data-kv-tab", "inside")
    query = parse_qs(urlsplit(page.url).query)
    assert {name: query[name] for name in ("tab", "panel", "prompt", "model")} == {
        "tab": ["inside"], "panel": ["rounding"], "prompt": ["My own <text>"], "model": ["org/model"],
    }  # fmt: skip
    page.get_by_role("tab", name="Race").click()
    expect(page.locator("#kv-stage .kv-strip h2")).to_have_text("It won.")  # the race is still there


def test_a_finding_without_a_panel_has_no_why_link(won: str, visit: Visit) -> None:
    page = visit(won)
    finding = {"lanes": [], "text": "It won.", "panel": None}
    assert (
        imported(page, "race/verdict/sentences.js", "({ whyLink }, finding) => whyLink(finding, {})", finding) is None
    )
    known = imported(page, "shell/tabs.js", "({ hasTab }) => ['race', 'no such tab'].map(hasTab)")
    assert known == [True, False]


def test_the_note_of_an_example_does_not_cover_the_prompt(url: str, visit: Visit) -> None:
    page = visit(url)
    examples = page.locator("#kv-examples")
    examples.get_by_role("button").first.hover()
    tip = page.locator(".kv-tip").bounding_box()
    row = examples.bounding_box()
    assert tip and row and tip["x"] >= row["x"] + row["width"]
