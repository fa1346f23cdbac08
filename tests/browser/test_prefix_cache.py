"""Two turns of one page: the second finds what the first left, and nobody else does."""

from __future__ import annotations

import time

from playwright.sync_api import Page, expect

from tests.web.scripted_backend import ScriptedBackend

from .actions import document, finish, imported, race
from .conftest import PATIENCE_MS, Serve, Visit


def pick(page: Page, example: str) -> None:
    page.locator("#kv-examples").get_by_role("button", name=example, exact=True).click()
    expect(page.locator("#kv-lanes .kv-picks > li")).to_have_count(2)
    expect(page.locator("#kv-lanes .kv-picks > li").nth(1)).to_contain_text("Prefix cache")


def test_turn_2_reuses_the_prefix_of_turn_1_and_another_page_does_not(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, tokens=8, ignore_eos=1, chat=0, lanes="no_cache")
    pick(page, "Turn 1")
    race(page)
    strip = page.locator(".kv-strip")
    expect(strip).to_contain_text("Prefix cache found nothing kept")
    expect(strip).to_contain_text("are kept for the next race of this page")
    pick(page, "Turn 2")
    race(page)
    made = document(page)
    prompt, first = len(made["prompt"]["tokens"]), made["lanes"][1]["steps"][0]
    assert first["positions"] < prompt / 10
    expect(strip).to_contain_text(f"Prefix cache reused {prompt - first['positions']:,} of {prompt:,} prompt tokens")
    page.locator(".kv-lane").nth(1).locator(".kv-chip").first.click()
    expect(page.locator(".kv-inspector")).to_contain_text("of its positions were kept from an earlier race")

    stranger = visit(tiny_app, tokens=8, ignore_eos=1, chat=0)
    pick(stranger, "Turn 2")
    race(stranger)
    expect(stranger.locator(".kv-strip")).to_contain_text("Prefix cache found nothing kept")
    assert document(stranger)["lanes"][1]["steps"][0]["details"] == {"kept": 0, "reused": 0}


def test_an_example_without_lanes_keeps_the_chosen_lanes(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, lanes="no_cache,static_cache,dynamic_cache")
    page.locator("#kv-examples").get_by_role("button", name="Drift", exact=True).click()
    expect(page.locator("#kv-prompt textarea")).to_have_value("Explain what a key-value cache is in a transformer.")
    assert (
        imported(page, "form/lane_picker.js", "({ lanesOf }) => lanesOf.race") == "no_cache,static_cache,dynamic_cache"
    )


def test_each_page_has_its_own_name_and_reports_when_it_is_closed(visit: Visit, serve: Serve) -> None:
    script = ScriptedBackend()
    url = serve(script)
    pages = [visit(url), visit(url)]
    for page in pages:
        page.click("#kv-race")
        finish(page)
    first, second = script.pages
    assert first and second and first != second
    pages[0].close()
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while first not in script.forgotten and time.monotonic() < deadline:
        time.sleep(0.05)
    assert script.forgotten == [first]
