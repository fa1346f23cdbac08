"""Before a race: each chosen lane is drawn as its strategy declares it, whatever the strategy is called."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from kvdemo.server.service import describe_strategies
from tests.web.scripted_backend import ScriptedBackend

from .conftest import Visit
from .scripted import scripted_page


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    listed = describe_strategies()
    (resumed,) = (row for row in listed if row["picture"] == "resumed")
    with scripted_page(ScriptedBackend(offered=[*listed, resumed | {"id": "mine", "name": "Mine"}])) as address:
        yield address


def test_each_lane_is_drawn_as_its_strategy_declares(url: str, visit: Visit) -> None:
    page = visit(url, lanes="reencode,dynamic_cache,mine,sliding_window")
    cards = page.locator("#kv-stage .kv-preview")
    for card, computed, positions in zip(cards.all(), ("456789", "411111", "211111"), (39, 9, 7), strict=False):
        expect(card.locator(".kv-picture u")).to_have_text(list(computed))
        assert card.locator(".kv-picture .kv-computed").count() == positions
        expect(card.locator("figcaption")).to_contain_text(f"that makes {positions} positions")
    expect(cards).to_have_count(4)
    expect(cards.last.locator(".kv-words")).to_have_count(1)
    expect(cards.last.locator(".kv-picture")).to_have_count(0)
