from __future__ import annotations

from pathlib import Path

import gradio_client
import pytest
from playwright.sync_api import expect

from tests.cases import cases
from tests.mixed_race import LANES, NAMES, check

from .actions import HeldBack, chips, document, finish, metric, race, statuses, wait_for_tokens, wait_until
from .conftest import Visit

LONG = {"tokens": 460, "lanes": "reencode,no_cache,dynamic_cache", "ignore_eos": 1, "chat": 0, "prompt": "The fox"}


def test_one_click_on_the_opened_page_gives_a_verdict_of_the_real_model(real_app: str, visit: Visit) -> None:
    page = visit(real_app, tokens=12)
    race(page)
    assert chips(page) == [12, 12]
    made = document(page)
    assert made["model"]["id"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert page.locator(".kv-strip h2").inner_text() == made["verdict"]["headline"]
    shown = page.locator(".kv-strip").inner_text()
    assert all(sentence in shown for sentence in made["verdict"]["sentences"])
    for lane, text in enumerate(page.locator(".kv-text").all_inner_texts()):
        assert "".join(text.split()) == "".join(made["lanes"][lane]["text"].replace("\n", "↵").split())


def test_a_link_races_lanes_that_differ_in_how_they_compute_and_how_they_choose(real_app: str, visit: Visit) -> None:
    page = visit(real_app, prompt="The moon", tokens=4, lanes=LANES)
    race(page)
    check(document(page))
    expect(page.locator(".kv-lane h3")).to_have_text(NAMES)
    third = page.locator("#kv-lanes .kv-picks > li").nth(2)
    third.locator(".kv-choosing summary").click()  # opened in its place
    expect(third.locator("[data-setting=min_p]")).to_have_value("0.1")
    expect(third.locator("[data-setting=top_k]")).to_have_value("20")
    page.locator(".kv-lane").nth(2).locator(".kv-chip").nth(3).hover()
    heads = page.locator(".kv-inspector thead th")
    expect(heads).to_have_text(["model", "temperature 1.2", "top-k 20", "min-p 0.1"])
    expect(page.locator(".kv-inspector tbody tr")).not_to_have_count(0)


@pytest.mark.slow
@pytest.mark.model
def test_a_program_races_lanes_that_differ_in_how_they_compute_and_how_they_choose(real_app: str) -> None:
    client = gradio_client.Client(real_app, verbose=False)
    check(client.predict("The moon", max_new_tokens=8, strategies=LANES.split(","), api_name="/race"))


@pytest.mark.parametrize("case", cases("lane_refusals"), ids=lambda case: case["lane"])
def test_a_link_with_a_bad_setting_names_the_lane_and_the_bound(
    tiny_app: str, visit: Visit, case: dict[str, str]
) -> None:
    page = visit(tiny_app, lanes=f"dynamic_cache,{case['lane']}")
    if "notice" not in case:
        page.click("#kv-race")
    expect(page.locator(".kv-alert")).to_contain_text(case.get("notice", case["says"]))


def test_the_numbers_on_the_page_are_those_of_the_document(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, **LONG | {"tokens": 40})
    race(page)
    made = document(page)
    for index, lane in enumerate(made["lanes"]):
        assert metric(page, index, "positions") == f"{lane['metrics']['positions']:,}"
        for name, seconds in (("ttft", lane["metrics"]["ttft_s"]), ("tpot", lane["metrics"]["tpot_s"])):
            value, unit = metric(page, index, name).split()
            assert float(value) * {"ms": 1e-3, "s": 1, "µs": 1e-6}[unit] == pytest.approx(seconds, rel=0.01)
        rate = float(metric(page, index, "rate").replace(",", ""))
        assert rate == pytest.approx(lane["metrics"]["tokens_per_s"], rel=0.01)
    with page.expect_download() as download:
        page.click("#kv-csv")
    assert len(Path(download.value.path()).read_text("utf-8").splitlines()) == 1 + 3 * 40


def test_stop_keeps_the_tokens_so_far_and_the_next_race_works(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, **LONG)
    page.click("#kv-race")
    wait_for_tokens(page, 30)
    page.click("#kv-stop")
    finish(page)
    assert "stopped" in statuses(page)
    done = chips(page)
    assert 0 < sum(done) < 3 * 460
    assert [len(lane["tokens"]) for lane in document(page)["lanes"]] == done
    page.fill("#kv-tokens input[type=number]", "5")
    page.keyboard.press("Tab")
    race(page)
    assert chips(page) == [5, 5, 5]


def test_a_stop_that_arrives_before_its_race_ends_the_race(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, **LONG)
    held = HeldBack(page, "kv-race")
    page.click("#kv-race")
    held.wait()
    page.click("#kv-stop")
    page.wait_for_timeout(500)  # the server has found nothing to stop
    held.let_go()
    page.wait_for_selector("#kv-race:enabled")
    assert sum(chips(page)) < 3 * 460


def test_a_zoomed_chart_stays_zoomed_while_tokens_stream(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, **LONG)
    page.click("#kv-race")
    wait_for_tokens(page, 60)
    page.wait_for_selector(".kv-plot .main-svg")
    page.evaluate(
        "document.querySelector('.kv-plot').mark = true; document.querySelector('.kv-plot .main-svg').mark = true"
    )
    box = page.locator(".kv-plot .nsewdrag").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 40, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 80, steps=4)
    page.mouse.up()
    look = """() => { const plot = document.querySelector('.kv-plot');
        return { x: plot.layout.xaxis.range.slice(), y: plot.layout.yaxis.range.slice(), points: plot.data[0].x.length,
                 same: plot.mark === true && plot.querySelector('.main-svg').mark === true }; }"""
    before = page.evaluate(look)
    wait_until(page, "n => document.querySelector('.kv-plot').data[0].x.length > n + 20", arg=before["points"])
    after = page.evaluate(look)
    assert (after["x"], after["y"]) == (before["x"], before["y"])
    assert before["same"] and after["same"]  # the chart was never mounted anew


def test_the_chart_switches_between_its_quantities(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, **LONG | {"tokens": 10})
    race(page)
    cached = document(page)["lanes"][2]["steps"]
    last = "() => document.querySelector('.kv-plot').data[2].y.at(-1)"
    page.get_by_role("button", name="Cache size").click()
    assert page.evaluate(last) == pytest.approx(cached[-1]["cache_bytes"] / 1e6)
    page.get_by_role("button", name="Elapsed time").click()
    assert page.evaluate(last) == pytest.approx(sum(step["seconds"] for step in cached), rel=1e-3)


def test_a_token_can_be_inspected_with_the_mouse_and_the_keyboard(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, **LONG | {"tokens": 10})
    race(page)
    made = document(page)
    page.locator(".kv-lane").nth(0).locator(".kv-chip").nth(3).click()
    inspector = page.locator(".kv-inspector")
    expect(inspector).to_contain_text(str(made["lanes"][0]["tokens"][3]))
    read = inspector.locator("pre").text_content()
    assert read == "The fox" + "".join(t for step in made["lanes"][0]["steps"][:3] for t in step["texts"])
    page.keyboard.press("Escape")
    expect(inspector).to_be_hidden()
    page.locator(".kv-lane").nth(2).locator(".kv-text").focus()
    page.keyboard.press("End")
    expect(inspector).to_contain_text("1 new position")
    expect(inspector).to_contain_text(str(made["lanes"][2]["tokens"][-1]))


def test_control_and_enter_in_the_prompt_start_a_race(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, tokens=5)
    page.focus("#kv-prompt textarea")
    page.keyboard.press("Control+Enter")
    finish(page)


def test_on_a_phone_nothing_is_cut_off(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, width=390, height=844, tokens=40, prompt="A long word: " + "x" * 120)
    expect(page.locator("#kv-race")).to_be_in_viewport()
    race(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    lanes = [page.locator(".kv-lane").nth(n).bounding_box() for n in (0, 1)]
    assert lanes[0] and lanes[1] and lanes[1]["y"] >= lanes[0]["y"] + lanes[0]["height"]  # stacked
