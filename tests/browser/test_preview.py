"""Before a race: each chosen lane is drawn as its strategy declares it, whatever the strategy is called."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from kvdemo.server.questions.listings import list_strategies
from tests.web.scripted_backend import ScriptedBackend

from .conftest import Visit
from .scripted import scripted_page

LISTED = list_strategies()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    (resumed,) = (row for row in LISTED if row["keeps_prefix"])
    own = [resumed | {"id": "mine", "name": "Mine"}, resumed | {"id": "bare", "name": "Bare", "picture": None}]
    with scripted_page(ScriptedBackend(offered=[*LISTED, *own])) as address:
        yield address


def cells(card: Locator, kind: str) -> int:
    return card.locator(f".kv-steprows i[data-kind={kind}]").count()


def test_each_preview_is_drawn_as_its_strategy_declares(url: str, visit: Visit) -> None:
    page = visit(url, lanes="reencode,dynamic_cache,mine,bare")
    cards = page.locator("#kv-stage .kv-preview")
    expect(cards).to_have_count(4)
    computes = (["P", "P + 1", "P + 2", "P + 3", "P + 4"], ["P", "1", "1", "1", "1"], ["P", "1", "1", "1", "1"])
    for card, shown, computed in zip(cards.all(), computes, (15, 5, 5), strict=False):
        expect(card.locator(".kv-step:not(.kv-stepcolumns) u")).to_have_text(shown)
        assert cells(card, "computed") == computed
        expect(card.locator("figcaption")).not_to_be_empty()
    assert cells(cards.nth(2), "read") == 1 + cells(cards.nth(1), "read")  # a part of the prompt
    expect(cards.last.locator(".kv-words")).to_have_count(1)
    expect(cards.last.locator(".kv-steprows")).to_have_count(0)


@pytest.mark.parametrize("strategy", LISTED, ids=lambda row: str(row["id"]))
def test_every_strategy_has_a_preview(strategy: dict[str, object], url: str, visit: Visit) -> None:
    page = visit(url, lanes=strategy["id"])
    expect(page.locator("#kv-stage .kv-lane h3")).to_have_text([str(strategy["name"])])
    figure = page.locator("#kv-stage .kv-preview figure")
    expect(figure.locator("figcaption")).not_to_be_empty()
    expect(figure.locator(".kv-steprows")).to_have_count(0 if strategy["elsewhere"] else 1)
    assert "`" not in page.locator("#kv-stage .kv-preview").inner_text()  # code is shown as code


def test_the_preview_follows_the_settings_of_its_lane(url: str, visit: Visit) -> None:
    page = visit(url, lanes="sliding_window:window=3,quantized_cache")
    cards = page.locator("#kv-stage .kv-preview")
    expect(cards).to_have_count(2)
    window, quantized = cards.all()
    last = window.locator(".kv-step").last
    assert last.locator("i[data-kind=read]:not([data-fold])").count() == 2
    page.get_by_label("Window of Sliding window").fill("6")
    expect(
        page.locator(".kv-preview").first.locator(".kv-step").last.locator("i[data-kind=read]:not([data-fold])")
    ).to_have_count(5)
    high = "cell => cell.getBoundingClientRect().height"
    packed = page.locator(".kv-preview").last.locator("i[data-kind=packed]").first
    expect(packed).to_be_visible()  # the pictures are drawn again for the new window
    eight = packed.evaluate(high)
    page.get_by_label("Format of QuantizedCache").select_option("int2")
    expect(quantized.locator("figcaption")).to_contain_text("2 bits")
    assert page.locator(".kv-preview").last.locator("i[data-kind=packed]").first.evaluate(high) < eight
