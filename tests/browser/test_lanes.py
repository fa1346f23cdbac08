"""Choosing lanes and their settings: by mouse, by keyboard, on a phone, and by link."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from kvdemo.core.errors import BadInput
from kvdemo.core.events import Diverged, Divergence, Ended, Finding, Finished, RaceEvent, Started
from kvdemo.core.types import BeamNode, LaneInfo
from kvdemo.server.questions.listings import list_strategies
from kvdemo.web import wire
from tests.scripted import verdict
from tests.toy import added
from tests.web.scripted_backend import MODEL, ScriptedBackend, committed
from tests.web.scripted_backend import race as played

from .actions import imported
from .conftest import Serve, Visit

TWICE = "sliding_window:window=64:kind=int4,sliding_window,no_cache"


def rows(page: Page, form: str = "kv-") -> Locator:
    return page.locator(f"#{form}lanes .kv-picks > li")


def lanes(page: Page, tab: str = "race") -> str:
    return str(imported(page, "form/lane_picker.js", "({ lanesOf }, tab) => lanesOf[tab]", tab))


def asked(page: Page, script: ScriptedBackend) -> str:
    """The lanes of the race that the button starts."""
    before = len(script.forms)
    page.click("#kv-race")
    page.wait_for_selector(".kv-strip[data-state=finished]")
    return str(next(form["strategies"] for form in script.forms[before:] if "schedule" in form))


def add(page: Page, name: str, form: str = "kv-") -> None:
    page.click(f"#{form}lanes .kv-addlane")
    page.get_by_role("menuitem", name=name).click()


def test_the_same_strategy_twice_with_other_settings(url: str, script: ScriptedBackend, visit: Visit) -> None:
    page = visit(url)
    expect(rows(page)).to_have_count(2)
    add(page, "Window")
    add(page, "Window")
    rows(page).nth(2).locator("[data-setting=window]").fill("64")
    rows(page).nth(3).locator("[data-setting=kind]").select_option("int4")
    assert lanes(page) == "reencode,dynamic_cache,sliding_window:window=64,sliding_window:kind=int4"
    names = page.locator(".kv-lane h3")
    expect(names).to_have_text(["Re-encoding", "DynamicCache", "Window (window 64)", "Window (format int4)"])
    assert asked(page, script) == lanes(page)


def test_the_first_is_the_baseline_and_a_lane_can_be_moved_and_removed(
    url: str, script: ScriptedBackend, visit: Visit
) -> None:
    page = visit(url)
    page.get_by_role("button", name="Move up DynamicCache").click()
    assert lanes(page) == "dynamic_cache,reencode"
    expect(page.locator(".kv-lane").first).to_contain_text("baseline")
    expect(page.locator("#kv-lanes [aria-live]")).to_have_text("DynamicCache is lane 1, the baseline.")
    page.get_by_role("button", name="Remove DynamicCache").click()
    assert asked(page, script) == "reencode"


def test_a_refused_race_leaves_the_one_before_until_other_lanes_are_chosen(visit: Visit, serve: Serve) -> None:
    script = ScriptedBackend()
    page = visit(serve(script))
    asked(page, script)
    stage = page.locator("#kv-stage .kv-stage")
    script.refuse = BadInput("Ask for fewer tokens.")
    page.click("#kv-race")
    expect(stage).to_have_attribute("data-stale", "")
    chips = page.locator("#kv-stage .kv-chip").count()
    assert chips
    again = "({ takeStatus, modelStatus }) => takeStatus(modelStatus())"
    imported(page, "base/status.js", again)
    assert page.locator("#kv-stage .kv-chip").count() == chips
    add(page, "Window")
    expect(page.locator("#kv-stage .kv-lane h3")).to_have_text(["Re-encoding", "DynamicCache", "Window"])
    expect(page.locator("#kv-stage .kv-preview")).to_have_count(3)
    for lane in page.locator("#kv-stage .kv-lane").all():
        expect(lane).to_have_css("opacity", "1")
    expect(page.locator(".kv-chart .kv-keys span")).to_have_text(["Re-encoding", "DynamicCache"])  # of its lines
    page.get_by_role("button", name="Remove Window").click()
    expect(page.locator("#kv-stage .kv-preview")).to_have_count(2)


def test_on_a_narrow_card_the_lane_name_is_not_cut_off(url: str, script: ScriptedBackend, visit: Visit) -> None:
    page = visit(url, width=1024)
    asked(page, script)
    for name in page.locator(".kv-lane h3").all():
        assert name.evaluate("name => name.scrollWidth <= name.clientWidth"), name.inner_text()
    for lane in page.locator(".kv-lane").all():
        badge, summary = (lane.locator(part).bounding_box() for part in (".kv-badge", ".kv-summary"))
        assert badge and summary and badge["y"] + badge["height"] <= summary["y"]


@pytest.mark.parametrize("width", [1440, 1240, 390, 320])
def test_the_longest_figures_of_a_card_stay_within_it(
    url: str, script: ScriptedBackend, visit: Visit, width: int
) -> None:
    page = visit(url, width=width, lanes=TWICE)
    asked(page, script)
    over = """figures => {
        const [all, box] = [[...figures.querySelectorAll("dd")], (one) => one.getBoundingClientRect()];
        ["999 ms", "999 ms", "1,234", "123,456", "9.99 GB"].forEach((text, n) => { all[n].textContent = text; });
        return ["right", "bottom"].map((side) =>
          Math.round(Math.max(...all.map((one) => box(one)[side])) - box(figures)[side]));
    }"""
    shown = page.locator(".kv-lane:not([data-status=idle]) .kv-lane-in > .kv-metrics").all()
    assert shown
    for figures in shown:
        assert max(figures.evaluate(over)) <= 0


def test_at_most_six_lanes_can_be_added(url: str, visit: Visit) -> None:
    page = visit(url, lanes=",".join(["no_cache"] * 5))
    add(page, "Window")
    expect(rows(page)).to_have_count(6)
    expect(page.locator("#kv-lanes .kv-addlane")).to_be_disabled()
    tops = {page.locator(".kv-lane").nth(n).evaluate("lane => lane.getBoundingClientRect().top") for n in range(6)}
    assert len(tops) == 2  # two rows of three
    foot = page.locator(".kv-lane").nth(5).evaluate("lane => lane.getBoundingClientRect().bottom")
    assert foot <= page.locator(".kv-legend").evaluate("legend => legend.getBoundingClientRect().top")


def test_lanes_are_added_moved_and_removed_by_the_keyboard(url: str, visit: Visit) -> None:
    page = visit(url)
    opener = page.locator("#kv-lanes .kv-addlane")
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Re-encoding")).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.press("ArrowDown")  # around to the first
    expect(page.get_by_role("menuitem", name="Re-encoding")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(opener).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("w")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(3)
    expect(rows(page).nth(2).get_by_label("Window of Window")).to_be_focused()
    page.keyboard.type("12")
    assert lanes(page) == "reencode,dynamic_cache,sliding_window:window=12"
    page.get_by_role("button", name="Remove Window").press("Enter")
    expect(page.get_by_role("button", name="Remove DynamicCache")).to_be_focused()


def test_an_unavailable_strategy_is_listed_with_its_reason_and_cannot_be_added(url: str, visit: Visit) -> None:
    page = visit(url)
    page.click("#kv-lanes .kv-addlane")
    item = page.get_by_role("menuitem", name="Compiled")
    expect(item).to_have_attribute("aria-disabled", "true")
    expect(item).to_contain_text("it needs a CUDA device")
    item.click(force=True)
    assert lanes(page) == "reencode,dynamic_cache"


def test_every_strategy_can_be_added_for_a_model_that_is_not_loaded(url: str, visit: Visit) -> None:
    page = visit(url, model="other/model")
    page.click("#kv-lanes .kv-addlane")
    expect(page.get_by_role("menuitem", name="Compiled")).not_to_have_attribute("aria-disabled", "true")
    page.keyboard.press("Escape")
    add(page, "Compiled")
    expect(rows(page)).to_have_count(3)


def test_a_link_with_an_unavailable_strategy_shows_the_reason_in_its_row(url: str, visit: Visit) -> None:
    page = visit(url, lanes="no_cache,compiled_cache")
    expect(rows(page).nth(1)).to_contain_text("it needs a CUDA device")
    expect(page.locator(".kv-lane").nth(1)).to_contain_text("it needs a CUDA device")


def test_a_setting_states_its_meaning_and_its_bounds(url: str, visit: Visit) -> None:
    page = visit(url, lanes="no_cache,sliding_window:window=0:kind=int3")
    row = rows(page).nth(1)
    row.locator(".kv-term", has_text="Window").hover()
    expect(page.locator("#kv-tip")).to_contain_text("Latest positions kept. 1 to 4,096; 256 if nothing is set.")
    window = row.locator("[data-setting=window]")
    expect(window).to_have_attribute("aria-invalid", "true")
    expect(row.locator("[data-setting=kind]")).to_have_attribute("aria-invalid", "true")
    window.fill("")
    expect(window).to_have_attribute("aria-invalid", "false")
    assert lanes(page) == "no_cache,sliding_window:kind=int3"  # left as it came, for the race to refuse


def test_a_link_with_settings_fills_the_rows_and_is_written_back_unchanged(
    url: str, script: ScriptedBackend, visit: Visit
) -> None:
    page = visit(url, lanes=TWICE, prompt="a=b:c,d & e")
    expect(rows(page)).to_have_count(3)
    expect(rows(page).nth(0).locator("[data-setting=window]")).to_have_value("64")
    expect(rows(page).nth(1).locator("[data-setting=window]")).to_have_value("")
    page.click("#kv-share")
    link = page.locator(".kv-sharecard input[type=text]").input_value()
    assert f"lanes={TWICE}" in link
    before = len(script.forms)
    query = dict(parse_qsl(urlsplit(link).query))
    again = visit(url, **query)
    again.wait_for_selector(".kv-strip[data-state=finished]")  # run=1: nobody pressed a button
    form = next(form for form in script.forms[before:] if "schedule" in form)
    assert (form["strategies"], form["prompt"]) == (TWICE, "a=b:c,d & e")


def test_a_strategy_that_is_one_new_file_is_offered_with_its_controls(
    visit: Visit, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with added(tmp_path, monkeypatch):
        script = ScriptedBackend(offered=list_strategies())
    page = visit(serve(script), lanes="no_cache")
    page.click("#kv-lanes .kv-addlane")
    item = page.get_by_role("menuitem", name="Refresh")
    expect(item).to_contain_text("Throws its cache away every few tokens.")
    item.click()
    row = rows(page).nth(1)
    row.locator(".kv-term", has_text="Every").hover()
    expect(page.locator("#kv-tip")).to_contain_text("before all is read again. 1 to 64; 4 if nothing is set.")
    every, between = row.get_by_label("Every of Refresh"), row.get_by_label("Between of Refresh")
    expect(between.locator("option")).to_have_text(["cache", "all"])
    every.fill("9")
    between.select_option("all")
    assert asked(page, script) == "no_cache,refresh:every=9:between=all"


@pytest.mark.parametrize("broken", ["turbo:window=3", "sliding_window:window", "no_cache:window=3"])
def test_a_link_with_a_broken_setting_gets_a_notice(url: str, visit: Visit, broken: str) -> None:
    page = visit(url, lanes=f"no_cache,{broken}")
    expect(page.locator(".kv-alert")).to_contain_text("so the form keeps its own")
    assert lanes(page) == "reencode,dynamic_cache"


def test_measure_has_the_same_picker_and_a_preset_fills_it(url: str, script: ScriptedBackend, visit: Visit) -> None:
    page = visit(url, tab="measure", lanes=TWICE)
    expect(rows(page, "kv-m-")).to_have_count(3)
    page.locator(".kv-choice", has_text="Quick").click()
    expect(rows(page, "kv-m-")).to_have_count(2)
    expect(page.locator(".kv-choice[aria-pressed=true]")).to_have_text("Quick")
    add(page, "Window", "kv-m-")
    expect(page.locator("#kv-m-presets .kv-choice[aria-pressed=true]")).to_have_count(0)
    rows(page, "kv-m-").nth(2).locator("[data-setting=share]").fill("0.5")
    assert lanes(page, "measure") == "no_cache,dynamic_cache,sliding_window:share=0.5"
    assert lanes(page) == "reencode,dynamic_cache"
    page.click("#kv-m-start")
    page.wait_for_selector(".kv-measure[data-phase=over]")
    assert [f["strategies"] for f in script.forms if "repeats" in f][-1] == lanes(page, "measure")


def test_on_a_phone_the_lanes_and_their_menu_stay_within_the_screen(url: str, visit: Visit) -> None:
    page = visit(url, width=390, height=844, lanes=TWICE)
    page.click("#kv-settings button.label-wrap")
    add(page, "No cache")
    expect(rows(page)).to_have_count(4)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.click("#kv-lanes .kv-addlane")
    box = page.get_by_role("menu").bounding_box()
    assert box is not None
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["y"] + box["height"] <= 844


@pytest.mark.parametrize("width", [390, 1024, 1440])
def test_the_name_of_a_slider_does_not_run_into_its_number(width: int, url: str, visit: Visit) -> None:
    page = visit(url, width=width)
    if width == 390:
        page.click("#kv-settings button.label-wrap")
    for name in ("temperature", "top-p"):
        label = page.locator(f"#kv-{name} [data-testid=block-info]")
        number = page.locator(f"#kv-{name} .tab-like-container")
        label.scroll_into_view_if_needed()
        named, field = label.bounding_box(), number.bounding_box()
        assert named is not None and field is not None
        assert named["x"] + named["width"] <= field["x"], name


def test_with_two_lanes_the_race_fits_the_window(url: str, visit: Visit) -> None:
    page = visit(url)
    expect(rows(page)).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollHeight") <= 900


def test_the_verdict_on_many_lanes_has_a_line_for_each(visit: Visit, serve: Serve) -> None:
    infos = tuple(LaneInfo(f"s{n}", f"Lane {n}", "It runs.", lossless=True) for n in range(1, 7))
    said = [
        finding
        for n in range(1, 6)
        for finding in (
            Finding("work", (n, 0), {}, f"Lane {n + 1} ran 9 positions."),
            Finding("same_text", (n, 0), {}, f"Same text: {n + 1} tokens compared."),
        )
    ]
    outcome = verdict(
        "Lane 2 finished first.",
        Finding("same_time", (2, 0), {}, "Lane 3 took as long."),
        *said,
        "Best at each: fastest Lane 2.",
        Finding("remark", (1,), {}, "It kept 3 of 4."),
        Finding("stopped", (5,), {}, "Lane 6 was stopped."),
    )
    steps = [committed(n, (" a",), positions=4, texts=(" a",)) for n in range(6)]
    ends = [*(Ended(n, "length") for n in range(6)), Finished({"schema": 1, "model": MODEL}, outcome)]
    script = ScriptedBackend(batches=[[Started(infos, "Hi", 4, 3, "fair", MODEL)], steps, ends])
    page = visit(serve(script))
    page.click("#kv-race")
    page.wait_for_selector(".kv-strip[data-state=finished]")
    expect(page.locator(".kv-strip > p")).to_have_text("Best at each: fastest Lane 2.")
    lines = page.locator(".kv-bylane li")
    expect(lines).to_have_count(5)
    # Its remark names no lane and stands behind what is said of all: only the finding knows whose it is.
    expect(lines.nth(0)).to_have_text("Lane 2 ran 9 positions. Why? Same text: 2 tokens compared. Why? It kept 3 of 4.")
    expect(lines.nth(1)).to_have_text(
        "Lane 3 took as long. Why? Lane 3 ran 9 positions. Why? Same text: 3 tokens compared. Why?"
    )
    expect(lines.nth(4)).to_have_text(
        "Lane 6 ran 9 positions. Why? Same text: 6 tokens compared. Why? Lane 6 was stopped."
    )
    low = page.locator(".kv-strip").evaluate("strip => strip.offsetHeight")
    assert low < 200
    page.get_by_role("button", name="All of it").click()
    expect(page.get_by_role("button", name="Less")).to_have_attribute("aria-expanded", "true")


def test_the_end_of_a_lane_completes_the_text_of_its_last_token(visit: Visit, serve: Serve) -> None:
    """Drawn before: the part of a character whose rest never came."""
    info = LaneInfo("s1", "Lane 1", "It runs.", lossless=True)
    begins = [Started((info,), "Hi", 4, 3, "fair", MODEL), committed(0, ("ok ",)), committed(0, ("",))]
    ends = [Ended(0, "length", text="\ufffd"), Finished({"schema": 1, "model": MODEL}, verdict("Done."))]
    page = visit(serve(ScriptedBackend(batches=[begins, ends])))
    page.click("#kv-race")
    page.wait_for_selector(".kv-strip[data-state=finished]")
    expect(page.locator(".kv-chip")).to_have_text(["ok ", "\ufffd"])


def test_the_card_of_a_search_shows_its_total_and_its_levels(visit: Visit, serve: Serve) -> None:
    """A first token that comes when the search is done is no TTFT, and a step of all tokens no TPOT of 0."""
    infos = (
        LaneInfo("s1", "Stream", "It runs.", lossless=True),
        LaneInfo("s2", "Search", "It searches.", lossless=False, searches=True),
    )
    level = (BeamNode(0, 1, -0.5, -0.5),)
    stream = [committed(0, (f" {n}",), 0.5) for n in range(4)]
    found = committed(1, (" 0", " 1", " 2", " 3"), 1.0, levels=(level,) * 4, positions=9)
    ends = [Ended(0, "length"), Ended(1, "length"), Finished({"schema": 1, "model": MODEL}, verdict("Done."))]
    page = visit(serve(ScriptedBackend(batches=[[Started(infos, "Hi", 4, 4, "fair", MODEL)], [*stream, found], ends])))
    page.click("#kv-race")
    page.wait_for_selector(".kv-strip[data-state=finished]")
    card = page.locator(".kv-lane").nth(1)
    expect(card.locator("[data-metric=ttft], [data-metric=tpot]")).to_have_count(0)
    expect(card.locator("[data-metric=total] dd")).to_have_text("1.00 s")
    expect(card.locator("[data-metric=level] dd")).to_have_text("250 ms")
    expect(card.locator(".kv-speedup")).to_contain_text("2.00×")
    expect(page.locator(".kv-lane").nth(0).locator("[data-metric=tpot] dd")).to_have_text("500 ms")


def test_tokens_of_all_sheets_are_drawn_while_they_arrive(
    visit: Visit, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "SHEET", 200)  # a sheet is full after some ten tokens
    info = LaneInfo("s1", "Lane 1", "It runs.", lossless=True)
    seen = Event()

    def batches() -> Iterator[list[RaceEvent]]:
        yield [Started((info,), "Hi", 4, 60, "fair", MODEL)]
        for n in range(60):
            yield [committed(0, (f" {n}",))]
            if n == 29:
                assert seen.wait(60)
        yield [Ended(0, "length"), Finished({"schema": 1, "model": MODEL}, verdict("Done."))]

    script = ScriptedBackend()
    script.batches = batches()  # type: ignore[assignment]  # told as it is asked for
    page = visit(serve(script))
    page.click("#kv-race")
    expect(page.locator(".kv-chip")).to_have_text([f" {n}" for n in range(30)])
    seen.set()
    expect(page.locator(".kv-chip")).to_have_text([f" {n}" for n in range(60)])
    page.wait_for_selector(".kv-strip[data-state=finished]")


def test_the_samplers_of_a_lane_are_in_its_name_and_sent_with_the_race(
    url: str, script: ScriptedBackend, visit: Visit
) -> None:
    page = visit(url)
    row = rows(page).nth(1)
    group = row.locator(".kv-choosing")
    expect(row.get_by_label("Temperature of DynamicCache")).to_be_hidden()
    group.get_by_text("How it chooses").click()
    row.get_by_label("Temperature of DynamicCache").fill("0.8")
    row.get_by_label("Top-k of DynamicCache").fill("50")
    assert lanes(page) == "reencode,dynamic_cache:temperature=0.8:top_k=50"
    expect(page.locator(".kv-lane h3").nth(1)).to_have_text("DynamicCache · temperature 0.8, top-k 50")
    expect(group.locator("summary")).to_contain_text("temperature 0.8, top-k 50")
    row.get_by_label("Top-k of DynamicCache").fill("")
    row.get_by_label("Temperature of DynamicCache").fill("0")  # against what is set for all lanes
    assert asked(page, script) == "reencode,dynamic_cache:temperature=0"
    page.get_by_role("button", name="Move up DynamicCache").click()
    expect(rows(page).nth(0).get_by_label("Temperature of DynamicCache")).to_be_visible()  # it stays open


def test_a_sampler_setting_states_its_meaning_and_its_bounds(url: str, visit: Visit) -> None:
    page = visit(url, lanes="dynamic_cache:min_p=2,beams")
    group = rows(page).nth(0).locator(".kv-choosing")
    expect(group.locator("summary")).to_contain_text("min-p 2.0")
    group.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(group).to_contain_text("At temperature 0 nothing is drawn, and what applies is repetition penalty.")
    expect(group.locator("[data-setting=min_p]")).to_have_attribute("aria-invalid", "true")
    expect(group.locator("[data-setting=temperature]")).to_have_attribute("placeholder", "as all")
    group.get_by_role("button", name="Min-p").click()
    expect(page.locator(".kv-doccard")).to_contain_text("How Min-p works.")
    expect(rows(page).nth(1).locator(".kv-choosing")).to_have_count(0)  # it has a rule of its own


def test_a_link_fills_the_samplers_of_its_lanes_and_refuses_those_of_a_search(url: str, visit: Visit) -> None:
    given = "dynamic_cache:temperature=0.7:seed=3,dynamic_cache"
    page = visit(url, lanes=given)
    assert lanes(page) == given
    rows(page).nth(0).locator(".kv-choosing summary").click()
    expect(rows(page).nth(0).locator("[data-setting=temperature]")).to_have_value("0.7")
    refused = visit(url, lanes="dynamic_cache,beams:temperature=0.7")
    expect(refused.locator(".kv-alert")).to_contain_text("beams does not know")
    assert lanes(refused) == "reencode,dynamic_cache"


def test_a_sampling_example_fills_the_whole_form(url: str, script: ScriptedBackend, visit: Visit) -> None:
    page = visit(url, temperature="1.2", tokens=9, lanes="no_cache", seed=7)
    page.get_by_role("button", name="Greedy, 0.7, 1.5", exact=True).click()
    expect(rows(page)).to_have_count(3)
    expect(page.locator(".kv-lane h3").nth(2)).to_have_text("DynamicCache · temperature 1.5")
    before = len(script.forms)
    assert asked(page, script) == "dynamic_cache,dynamic_cache:temperature=0.7,dynamic_cache:temperature=1.5"
    form = next(form for form in script.forms[before:] if "schedule" in form)
    assert (form["temperature"], form["max_new_tokens"], form["seed"]) == (0, 128, 7)
    assert "dragon" in form["prompt"]


def test_a_lane_that_no_rounding_explains_says_so_as_a_failure(serve: Serve, visit: Visit) -> None:
    presumed = Divergence(1, "numeric", "A chose x, B chose y. Whether rounding explains it is checked later.")
    proven = Divergence(1, "unexplained", "A chose x, B chose y. Run again in float64: B is off.")
    first, begun, tokens, over = played()
    batches = [first, begun, [*tokens, Diverged(1, presumed)], [Diverged(1, proven), *over]]
    page = visit(serve(ScriptedBackend(batches=batches)))
    page.click("#kv-race")
    page.wait_for_selector(".kv-strip[data-state=finished]")
    note = page.locator(".kv-lane").nth(1).locator(".kv-note")
    expect(note).to_have_class(re.compile("kv-failed"))
    expect(note).to_contain_text("Same text up to token 1. A chose x, B chose y. Run again in float64: B is off.")
    expect(note).not_to_contain_text("checked later")
