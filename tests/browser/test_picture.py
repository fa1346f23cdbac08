"""During and after a race: what each lane's steps computed and read, and one step marked in text, picture and chart."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from kvdemo import strategies
from kvdemo.core.events import Ended, Finished, RaceEvent, Started
from kvdemo.core.types import LaneInfo, Pass
from kvdemo.server.questions.listings import list_strategies
from tests.scripted import verdict
from tests.web.scripted_backend import MODEL, ScriptedBackend, committed

from .actions import race
from .conftest import Visit
from .scripted import scripted_page

LANES = ("no_cache", "dynamic_cache", "sliding_window:window=4:sinks=2", "prompt_lookup", "batched:rows=2", "remote")
TOKENS, PROMPT = 12, 10


def step(lane: int, n: int) -> list[RaceEvent]:
    """The n-th step of a lane: its own way to go on after a prompt of ten tokens."""
    seen, new = PROMPT + n, 1 if n else PROMPT
    rows = Pass(2, new, seen)
    window = Pass(1, new, 6 if n else PROMPT)
    size = min(3, TOKENS - n)
    draft = Pass(1, 5, seen + 4, rejected=5 - size)
    ways: list[list[RaceEvent]] = [
        [committed(0, (" w",), 0.4, positions=seen)],
        [committed(1, (" w",), 0.1, positions=new, cache_bytes=9)],
        [committed(2, (" w",), 0.1, positions=new, passes=(window,), cache_bytes=9)],
        # After the prompt three tokens at a time, of a draft of four.
        [committed(3, (" w",) * size, 0.1, positions=5, passes=(draft,), cache_bytes=9)] if n % 3 == 1 else [],
        [committed(4, (" w",), 0.1, positions=2 * new, passes=(rows,), cache_bytes=9)],
        [committed(5, (" w",), 0.1, positions=0)],
    ]
    prompt = [committed(3, (" w",), 0.1, positions=new, cache_bytes=9)]
    return prompt if lane == 3 and not n else ways[lane]


def events(lanes: tuple[str, ...]) -> list[list[RaceEvent]]:
    infos: list[LaneInfo] = [strategies.get(spec).info for spec in lanes]
    places = [LANES.index(spec) for spec in lanes]
    assert places == list(range(len(lanes)))
    start = Started(tuple(infos), "What is it?", PROMPT, TOKENS, "fair", MODEL)
    steps = [[event for lane in places for event in step(lane, n)] for n in range(TOKENS)]
    ended: list[RaceEvent] = [Ended(lane, "length") for lane in places]
    return [[start], *steps, [*ended, Finished({"schema": 1, "model": MODEL}, verdict("Won."))]]


@pytest.fixture(scope="module", params=[2, 6], ids=["two lanes", "six lanes"])
def lanes(request: pytest.FixtureRequest) -> int:
    count: int = request.param
    return count


@pytest.fixture(scope="module")
def url(lanes: int) -> Iterator[str]:
    with scripted_page(ScriptedBackend(offered=list_strategies(), batches=events(LANES[:lanes]))) as address:
        yield address


def raced(visit: Visit, url: str, **how: int) -> Page:
    page = visit(url, **how)
    race(page)
    return page


def lane(page: Page, number: int) -> Locator:
    return page.locator("#kv-stage .kv-lane").nth(number)


def assert_marked(page: Page, number: int, token: int, lanes: int) -> None:
    """One step in text, picture and chart: its lane's strongly, the others' faintly."""
    for other in range(min(lanes, 2)):
        own = other == number
        chip = lane(page, other).locator(".kv-chip").nth(token)
        expect(chip).to_have_class(re.compile("kv-current" if own else "kv-beside"))
        expect(lane(page, other).locator(".kv-one b")).to_have_text(f"step {token + 1}")
        expect(lane(page, other).locator(".kv-cursor")).to_have_attribute("data-faint", str(not own).lower())
    expect(page.locator(".kv-current")).to_have_count(1)
    expect(page.locator(".kv-pointers i[data-faint=false]")).to_have_count(1)


def assert_nothing_marked(page: Page) -> None:
    expect(page.locator(".kv-current, .kv-beside, .kv-pointers i")).to_have_count(0)
    expect(page.locator(".kv-cursor:visible")).to_have_count(0)


SAID = {
    0: ("21 computed", "So far 186 positions computed; with a cache 21."),
    1: ("20 read from the cache", "So far 21 positions computed; without a cache 186."),
    2: ("15 dropped", "So far 21 positions computed; without a cache 186."),
    3: ("3 rejected", None),
    4: ("40 read from the cache", "So far 42 positions computed; without a cache 372."),
}


def test_each_lane_shows_what_its_steps_computed_and_read(url: str, lanes: int, visit: Visit) -> None:
    page = raced(visit, url)
    for number, (now, total) in SAID.items():
        if number >= lanes:
            continue
        expect(lane(page, number).locator(".kv-stepcolumns .kv-promptcells")).to_have_text(f"{PROMPT} prompt tokens")
        expect(lane(page, number).locator(".kv-stepsaid")).to_contain_text(now)
        if total:
            expect(lane(page, number).locator(".kv-sum")).to_have_text(total)
    if lanes == 6:
        expect(lane(page, 5).locator(".kv-sum")).to_have_text("Another machine decodes: its steps are not known here.")
        expect(lane(page, 5).locator("canvas")).to_be_hidden()


def test_the_canvas_is_filled_at_the_positions_that_a_step_computed(url: str, visit: Visit) -> None:
    """The second row of the prompt's column: computed again without a cache, read with one."""
    page = raced(visit, url)
    look = """canvas => { const pen = canvas.getContext("2d"), high = canvas.height / 12;
        return [0.5, 1.5].map((row) => pen.getImageData(20, Math.round(row * high), 1, 1).data[3]); }"""
    filled = [lane(page, number).locator("canvas").evaluate(look) for number in (0, 1)]
    assert filled[0] == [255, 255]
    assert filled[1][0] == 255
    assert 0 < filled[1][1] < 128


def test_pointing_at_a_token_marks_its_step_everywhere(url: str, lanes: int, visit: Visit) -> None:
    page = raced(visit, url)
    page.wait_for_selector(".kv-plot .main-svg")
    lane(page, 1).locator(".kv-chip").nth(5).hover()
    assert_marked(page, 1, 5, lanes)
    expect(lane(page, 1).locator(".kv-stepsaid")).to_contain_text("14 read from the cache")
    page.mouse.move(5, 5)
    assert_nothing_marked(page)


def test_pointing_at_a_row_of_the_picture_marks_its_step_everywhere(url: str, lanes: int, visit: Visit) -> None:
    page = raced(visit, url)
    page.wait_for_selector(".kv-plot .main-svg")
    picture = lane(page, 0).locator(".kv-all")
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    assert box
    page.mouse.move(box["x"] + 60, box["y"] + box["height"] * 7.5 / TOKENS)
    assert_marked(page, 0, 7, lanes)
    page.mouse.move(5, 5)
    assert_nothing_marked(page)


def test_pointing_at_a_point_of_the_chart_marks_its_step_everywhere(url: str, lanes: int, visit: Visit) -> None:
    page = raced(visit, url)
    page.wait_for_selector(".kv-plot .main-svg")
    plot = page.locator(".kv-plot .nsewdrag")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 3 / (TOKENS - 1), box["y"] + 4)  # the slowest lane is on top
    assert_marked(page, 0, 3, lanes)
    page.mouse.move(5, 5)
    assert_nothing_marked(page)


def test_the_keyboard_walks_the_steps_of_a_picture(url: str, lanes: int, visit: Visit) -> None:
    page = raced(visit, url)
    page.wait_for_selector(".kv-plot .main-svg")
    slider = lane(page, 1).get_by_role("slider", name="Steps of DynamicCache")
    slider.focus()
    page.keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "step 1: 10 computed")
    page.keyboard.press("ArrowDown")
    expect(slider).to_have_attribute("aria-valuetext", "step 2: 10 read from the cache, 1 computed")
    assert_marked(page, 1, 1, lanes)
    page.keyboard.press("Escape")
    assert_nothing_marked(page)


def test_a_tap_marks_a_step_on_a_phone(url: str, lanes: int, visit: Visit) -> None:
    page = raced(visit, url, width=390, height=844)
    picture = lane(page, 0).locator(".kv-all")
    picture.scroll_into_view_if_needed()
    picture.dispatch_event("pointerdown", {"pointerType": "touch", "clientY": 0})
    expect(lane(page, 0).locator(".kv-one b")).to_have_text("step 1")
    expect(lane(page, 0).locator(".kv-chip").first).to_have_class(re.compile("kv-current"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert lanes == page.locator(".kv-live:visible").count()


def test_tokens_of_one_step_are_marked_together(url: str, lanes: int, visit: Visit) -> None:
    if lanes < 6:
        pytest.skip("two lanes commit one token a step")
    page = raced(visit, url)
    lane(page, 3).locator(".kv-chip").nth(2).hover()
    expect(lane(page, 3).locator(".kv-current")).to_have_count(3)
    expect(lane(page, 3).locator(".kv-stepsaid")).to_contain_text("2 rejected")
