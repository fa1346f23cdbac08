"""Measuring, as a visitor does it: run, stop, come back, take the numbers away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from playwright.sync_api import Page, expect

from .actions import HeldBack, race, wait_until
from .conftest import Visit
from .test_visitors import HOSTILE

QUICK = {
    "tab": "measure", "prompt": "The fox", "tokens": 6, "repeats": 2, "warmup": 0, "lanes": "no_cache,dynamic_cache",
}  # fmt: skip
LONG = QUICK | {"tokens": 400, "repeats": 60, "lanes": "reencode,no_cache"}


def start(page: Page) -> None:
    page.click("#kv-m-start")


def over(page: Page) -> None:
    """Wait for the last state and the exports."""
    page.wait_for_selector(".kv-measure[data-phase=over]")
    page.wait_for_selector("#kv-m-json:visible")


def taken(page: Page, suffix: str) -> str:
    """What a download button gives."""
    with page.expect_download() as download:
        page.click(f"#kv-m-{suffix}")
    return Path(download.value.path()).read_text("utf-8")


def document(page: Page) -> dict[str, Any]:
    return dict(json.loads(taken(page, "json")))


def parameters(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def figure(page: Page, strategy: str, name: str) -> str:
    """A cell of the table, without its label."""
    return page.locator(f"tr[data-strategy={strategy}] td[data-figure={name}]").evaluate(
        "cell => [...cell.childNodes].filter(n => n.className !== 'kv-cellname').map(n => n.textContent).join('')"
    )


def test_a_measurement_fills_the_table_with_the_numbers_of_its_document(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, **QUICK)
    expect(page.locator("#kv-m-estimate")).to_contain_text("2 repeats")
    start(page)
    over(page)
    expect(page.locator("#kv-m-estimate")).to_contain_text("Predicted from the steps run so far")
    made = document(page)
    assert (made["kind"], made["status"]) == ("measure", "done")
    assert [len(lane["runs"]) for lane in made["lanes"]] == [2, 2]
    for lane in made["lanes"]:
        assert figure(page, lane["strategy"], "runs") == "2"
        shown, unit = figure(page, lane["strategy"], "e2e").split("±")[0].split()
        seconds = float(shown) * {"µs": 1e-6, "ms": 1e-3, "s": 1}[unit]
        assert seconds == pytest.approx(lane["statistics"]["e2e_s"]["mean"], rel=0.01)
    assert page.locator(".kv-measure .kv-strip h2").inner_text() == made["comparison"]["lanes"][0]["statement"]
    assert page.locator(".kv-published .kv-tag").count() == len(made["published"]) > 0  # set apart, and said to be so
    points = "() => document.querySelector('.kv-measure .kv-plot').data.map(line => line.x.length)"
    page.wait_for_selector(".kv-measure .kv-plot .main-svg")
    assert page.evaluate(points)[:2] == [6, 6]


def test_the_exports_hold_the_runs(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, **QUICK)
    start(page)
    over(page)
    assert len(taken(page, "csv").splitlines()) == 1 + 2 * 2
    markdown = taken(page, "md")
    assert "| No cache" in markdown
    assert "published" in markdown.lower()


def test_a_stop_that_arrives_before_its_measurement_ends_the_measurement(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, **LONG)
    held = HeldBack(page, "kv-m-start")
    start(page)
    held.wait()
    page.click("#kv-m-stop")
    page.wait_for_timeout(500)  # the server has found nothing to stop
    held.let_go()
    page.wait_for_selector("#kv-m-start:enabled")


def test_stop_keeps_the_finished_repeats_and_the_next_run_works(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, **LONG)
    start(page)
    page.wait_for_selector(".kv-report section[aria-label=Timings]")
    assert page.locator(".kv-report section:not([hidden]) > div:empty").count() == 0  # no title without a part below
    page.wait_for_selector("tr[data-strategy=no_cache] td[data-figure=e2e]:has-text('s')")
    page.click("#kv-m-stop")
    over(page)
    made = document(page)
    assert made["status"] == "stopped"
    assert 0 < len(made["lanes"][1]["runs"]) < 60
    page.fill("#kv-m-tokens input", "3")
    page.fill("#kv-m-repeats input", "1")
    page.keyboard.press("Tab")
    start(page)
    wait_until(page, "() => document.querySelector('.kv-measure .kv-strip').innerText.includes('1 of 1 repeats')")


def test_a_closed_measurement_is_kept_and_shown_at_its_address(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, **LONG)
    start(page)
    page.wait_for_selector("tr[data-strategy=no_cache] td[data-figure=e2e]:has-text('s')")
    asked = parameters(page)
    assert asked["tab"] == ["measure"]
    page.close()
    again = visit(tiny_app, tab="measure", measurement=asked["measurement"][0])
    again.wait_for_selector(".kv-measure[data-phase=kept]")
    again.wait_for_selector("#kv-m-json:visible")
    made = document(again)
    assert made["run_id"] == asked["measurement"][0]
    assert made["lanes"][1]["runs"]
    assert figure(again, "no_cache", "runs") == str(len(made["lanes"][1]["runs"]))


def test_reopening_the_page_offers_the_last_measurement(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, **QUICK)
    start(page)
    over(page)
    run = document(page)["run_id"]
    page = page.context.new_page()
    page.goto(f"{tiny_app}?tab=measure", wait_until="load")
    page.get_by_role("button", name="Show it").click()
    page.wait_for_selector("#kv-m-json:visible")
    assert document(page)["run_id"] == run


def test_an_unknown_measurement_gets_a_sentence(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, tab="measure", measurement="../../etc/passwd")
    expect(page.locator(".kv-measure .kv-alert")).to_contain_text("no measurement under this link")


def test_a_sweep_draws_a_cell_for_each_pair_of_lengths_with_its_reason(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, **QUICK, sweep_prompt="4,16", sweep_tokens="2,4,8")
    start(page)
    over(page)
    cells = document(page)["sweep"]["cells"]
    shown = page.locator(".kv-sweep .kv-cell")
    expect(shown).to_have_count(6)
    # Rows come one by one; until somebody chooses a cell, the last is the one that is explained.
    expect(page.locator(".kv-cell[aria-pressed=true]")).to_have_attribute("data-cell", "16-8")
    shown.nth(0).focus()
    expect(page.locator(".kv-why-cell")).to_contain_text(cells[0]["reason"])
    page.keyboard.press("Tab")
    expect(page.locator(".kv-why-cell")).to_contain_text("4 prompt tokens, 4 new")
    expect(page.locator(".kv-tip")).to_be_visible()


@pytest.mark.parametrize(
    ("query", "says"),
    [({"repeats": 0}, "number of repeats"), ({"sweep_prompt": "16,a"}, "sweep"), ({"tokens": 3000}, "2,048"),
     ({"model": "../../etc/passwd"}, "passwd"), ({"prompt": " "}, "The prompt is empty")],
)  # fmt: skip
def test_bad_input_gets_a_sentence_and_the_next_run_works(
    tiny_app: str, visit: Visit, query: dict[str, Any], says: str
) -> None:
    page = visit(tiny_app, **QUICK | query)
    start(page)
    expect(page.locator(".kv-measure .kv-alert")).to_contain_text(says)
    page.locator(".kv-choice", has_text="Quick").click()
    page.fill("#kv-m-tokens input", "3")
    page.fill("#kv-m-prompt textarea", "The fox")
    start(page)
    over(page)
    expect(page.locator(".kv-measure .kv-alert")).to_be_hidden()


def test_a_link_reproduces_the_form_with_its_folded_fields(tiny_app: str, visit: Visit) -> None:
    query = QUICK | {"sweep_prompt": "4,8", "sweep_tokens": "2,4", "seed": 5, "temperature": 0.8, "chat": 1}
    page = visit(tiny_app, **query)
    page.click("#kv-m-link")
    link = page.locator(".kv-sharecard input[type=text]").input_value()
    held = dict(parse_qsl(urlsplit(link).query))
    assert {key: str(value) for key, value in query.items()} == {key: held.get(key) for key in query}
    start(page)
    over(page)
    settings = document(page)["settings"]
    assert (settings["seed"], settings["chat"], settings["sweep_prompt"]) == (5, True, [4, 8])


def test_a_hostile_prompt_is_shown_as_it_is(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, **QUICK | {"prompt": HOSTILE})
    start(page)
    over(page)
    assert document(page)["prompt"]["text"] == HOSTILE
    assert page.locator(".kv-subject q").text_content() == HOSTILE
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x]").count() == 0


def test_on_a_phone_nothing_is_cut_off(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, width=390, height=844, **QUICK, sweep_prompt="4,16", sweep_tokens="2,4,8")
    start(page)
    over(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(
        page.locator("tr[data-strategy=no_cache] td[data-figure=median] .kv-term")
    ).to_be_visible()  # cards name theirs


def test_beside_the_form_no_figure_is_cut_and_no_name_is_broken(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, **QUICK)
    start(page)
    over(page)
    for width in (901, 1024, 1181, 1300, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        outer, inner = (page.locator(part).bounding_box() for part in (".kv-measure", ".kv-measured"))
        assert outer is not None and inner is not None
        assert inner["x"] + inner["width"] <= outer["x"] + outer["width"], width
        names = page.locator(".kv-measured .kv-lanename bdi").all()
        assert [name.evaluate("name => name.getClientRects().length") for name in names] == [1, 1], width


def test_opening_measure_keeps_the_race(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, prompt="The fox", tokens=5, chat=0)
    race(page)
    page.get_by_role("tab", name="Measure").click()
    expect(page.locator("#kv-measure")).to_be_visible()
    expect(page.locator("#kv-race")).to_be_hidden()
    assert parameters(page)["tab"] == ["measure"]
    assert page.locator("#kv-m-prompt textarea").input_value() != "The fox"  # the link was for the race
    page.keyboard.press("Home")
    expect(page.locator("#kv-race")).to_be_visible()
    assert page.locator("#kv-prompt textarea").input_value() == "The fox"
    box = page.locator("#kv-stage .kv-plot .main-svg").first.bounding_box()
    assert box is not None
    assert box["width"] > 600
