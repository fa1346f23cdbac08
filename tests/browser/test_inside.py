"""The Inside tab in a browser, on documents that are written down: what each panel shows, and when it is asked for."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.inside import SHOWN
from tests.web import inside_document
from tests.web.scripted_backend import ScriptedBackend

from .actions import imported, wait_until
from .conftest import Serve, Visit
from .scripted import scripted_page

#: The panels as they stand below each other.
ORDER = ["steps", "past", "roles", "rounding", "scratch", "formulas", "loops", "legacy"]


@pytest.fixture(scope="module")
def pages() -> Iterator[tuple[ScriptedBackend, str]]:
    script = ScriptedBackend()
    with scripted_page(script) as url:
        yield script, url


@pytest.fixture
def script(pages: tuple[ScriptedBackend, str]) -> Iterator[ScriptedBackend]:
    """The backend of the page, as new."""
    backend, _ = pages
    backend.forms.clear()
    yield backend
    backend.shown, backend.part, backend.refuse, backend.break_after = {}, {}, None, None
    backend.gate.set()


@pytest.fixture
def url(pages: tuple[ScriptedBackend, str]) -> str:
    return pages[1]


def panel(page: Page, name: str, state: str = "shown") -> Locator:
    """A panel, once it is in a state."""
    found = page.locator(f"#kv-i-{name}")
    expect(found).to_have_attribute("data-state", state)
    return found


def parameters(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def asked(script: ScriptedBackend) -> list[str]:
    return [name for form in script.forms for name in form.get("panels", ())]


def last_form(script: ScriptedBackend, name: str) -> dict[str, Any]:
    """The form of the last request for a panel: those below it are asked for by themselves."""
    return next(form for form in reversed(script.forms) if name in form.get("panels", ()))


def test_a_panel_is_requested_when_it_scrolls_into_view(script: ScriptedBackend, url: str, visit: Visit) -> None:
    page = visit(url, tab="inside", height=500)
    panel(page, "steps")
    assert "legacy" not in asked(script)
    page.get_by_role("button", name="Legacy format").click()
    panel(page, "legacy")
    assert "legacy" in asked(script)
    assert all(len(form["panels"]) == 1 for form in script.forms)
    assert parameters(page)["panel"] == ["legacy"]


@pytest.fixture
def alone(serve: Serve) -> tuple[ScriptedBackend, str]:
    """A backend of one test's own: what an earlier test's page asks last may come after that test."""
    script = ScriptedBackend()
    return script, serve(script)


def test_no_panel_is_requested_before_the_tab_is_opened(alone: tuple[ScriptedBackend, str], visit: Visit) -> None:
    script, url = alone
    page = visit(url)
    page.wait_for_timeout(400)
    assert not asked(script)
    page.get_by_role("tab", name="Inside").click()
    panel(page, "steps")


def test_a_step_says_what_it_computes_and_what_a_cache_saves(script: ScriptedBackend, url: str, visit: Visit) -> None:
    """Row 8 of the list of systems: the triangle of products, counted."""
    assert script
    page = visit(url, tab="inside", step=3)
    steps = panel(page, "steps")
    made = inside_document.steps()["steps"][2]
    expect(steps.locator(".kv-say")).to_have_text(
        f"Step 3: {made['products_all']} products without a cache, {made['products']} with; "
        f"so far {made['products_all_so_far']} against {made['products_so_far']}. With a cache it reads 1 token."
    )
    cells = steps.locator(".kv-work-table tbody tr").nth(1).locator("td").all_inner_texts()
    assert cells == [str(made[key]) for key in ("products", "products_all", "products_so_far", "products_all_so_far")]
    expect(steps.locator(".kv-growth")).to_contain_text("keys (1, 2, 5, 8)")
    expect(steps.locator(".kv-growth b")).to_have_text("1.28 kB")
    expect(steps.locator(".kv-growth")).to_contain_text("(texts, key and value heads, positions, numbers of a head)")
    assert "rows 1 to" not in (steps.locator(".kv-trianglefigure canvas").get_attribute("aria-label") or "")


def test_a_run_of_one_token_says_that_a_cache_saves_nothing(script: ScriptedBackend, url: str, visit: Visit) -> None:
    script.shown = {"steps": inside_document.steps(1)}
    answer = panel(visit(url, tab="inside", tokens=1), "steps").locator(".kv-answer")
    expect(answer).to_contain_text("With one new token a cache saves nothing")


def test_arrow_keys_walk_the_run_and_the_address_follows(script: ScriptedBackend, url: str, visit: Visit) -> None:
    assert script
    page = visit(url, tab="inside")
    steps = panel(page, "steps")
    expect(steps.locator(".kv-at")).to_have_text("step 1 of 4")
    steps.locator(".kv-player input").focus()
    page.keyboard.press("End")
    expect(steps.locator(".kv-at")).to_have_text("step 4 of 4")
    page.keyboard.press("ArrowLeft")
    expect(steps.locator(".kv-at")).to_have_text("step 3 of 4")
    wait_until(page, "() => new URLSearchParams(location.search).get('step') === '3'")
    page.keyboard.press("Home")
    page.keyboard.press(" ")
    expect(steps.locator(".kv-at")).to_have_text("step 4 of 4")
    expect(steps.locator(".kv-play")).to_have_text("Play")


def test_attention_is_requested_only_when_it_is_switched_on(script: ScriptedBackend, url: str, visit: Visit) -> None:
    page = visit(url, tab="inside", layer=1)
    steps = panel(page, "steps")
    assert "attention" not in asked(script)
    steps.get_by_label("Colour by the real attention weights").check()
    expect(steps.locator(".kv-attention")).to_contain_text("adds up to 100 %")
    assert last_form(script, "attention")["layer"] == 1
    steps.get_by_label("Head").fill("1")
    page.keyboard.press("Tab")
    expect(steps.locator(".kv-attention")).to_contain_text("adds up to 100 %")
    wait_until(page, "() => new URLSearchParams(location.search).get('head') === '1'")
    canvas = steps.locator(".kv-trianglefigure canvas")
    box = canvas.bounding_box()
    assert box
    cell = box["height"] / (len(inside_document.PIECES) - 1)  # the last token is not read
    canvas.hover(position={"x": cell / 2, "y": 1.5 * cell})
    expect(steps.locator(".kv-trianglefigure > .kv-quiet")).to_contain_text("query of “ quick” × key of “The”")


def test_the_past_panel_shows_that_earlier_states_do_not_change_and_the_counterexample(
    script: ScriptedBackend, url: str, visit: Visit
) -> None:
    """Row 6."""
    assert script
    page = visit(url, tab="inside", panel="past")
    past = panel(page, "past")
    verdict = past.locator(".kv-verdict")
    expect(verdict).to_contain_text(
        "differ by 4.0 · 10⁻⁴ at most (layer 2), within the tolerance of 0.002: 10⁻⁴ of the largest number of that "
        "position, 20"
    )
    assert past.locator(".kv-column").count() == past.locator(".kv-column u").count() == inside_document.LAYERS + 1
    past.get_by_role("button", name="What would break it?").click()
    expect(past.locator(".kv-tryrow")).to_contain_text("change the past by up to 14")
    assert past.locator(".kv-column i[data-kind=without]").count() == inside_document.LAYERS + 1


def test_a_past_that_changes_names_the_layer_that_breaks_its_tolerance(
    script: ScriptedBackend, url: str, visit: Visit
) -> None:
    changed = inside_document.past() | {"holds": False}
    changed["layers"][1] |= {"scale": 0.5, "tolerance": 1e-4, "largest_difference": 3e-4, "holds": False}
    script.shown = {"past": changed}
    verdict = panel(visit(url, tab="inside", panel="past"), "past").locator(".kv-verdict")
    expect(verdict).to_contain_text("differ by 3.0 · 10⁻⁴ (layer 1), beyond the tolerance of 10⁻⁴")


def test_the_roles_panel_shows_that_keys_and_values_are_reused_and_queries_are_not(
    script: ScriptedBackend, url: str, visit: Visit
) -> None:
    """Row 11."""
    page = visit(url, tab="inside", panel="roles")
    roles = panel(page, "roles")
    rows = roles.get_by_role("row")
    expect(rows.nth(1)).to_contain_text("never again")
    expect(rows.nth(1)).to_contain_text("60 %")
    expect(roles).to_contain_text("how much the new query reads of each position")
    expect(roles.locator(".kv-now").first).to_contain_text("keeping the queries too would add 768 B")
    expect(roles.locator(".kv-now").last).to_contain_text("4 query heads share 2 key and value heads, 2 to each")
    roles.get_by_label("Layer").fill("1")
    page.keyboard.press("Tab")
    wait_until(page, "() => new URLSearchParams(location.search).get('layer') === '1'")
    deadline = time.monotonic() + 10
    while last_form(script, "roles")["layer"] != 1:  # the address changes before the request comes
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)
    panel(page, "roles")


def test_the_rounding_panel_shows_logit_differences_and_the_margin(
    script: ScriptedBackend, url: str, visit: Visit
) -> None:
    """Row 7."""
    assert script
    page = visit(url, tab="inside", panel="rounding")
    rounding = panel(page, "rounding")
    formats = rounding.locator(".kv-format")
    expect(formats.nth(0).locator(".kv-verdict")).to_contain_text("The same token in each of 4 steps")
    expect(formats.nth(1).locator(".kv-verdict")).to_contain_text(
        "Another token in 1 of 4 steps: a difference of 0.09 met a margin of 0.05."
    )
    with_cache, without = formats.nth(1).locator(".kv-chosen tr").all()
    expect(with_cache.locator("td").last).to_have_text("dog")
    expect(without.locator("td").last).to_have_text("cat")
    expect(formats.nth(1).locator(".kv-chosen td[data-odd=true]")).to_have_count(2)
    expect(formats.nth(2)).to_contain_text("float16 cannot be run on this device.")
    expect(rounding.locator(".kv-experiments")).to_contain_text("500123.28125")
    expect(rounding.locator(".kv-experiments")).to_contain_text("8 runs gave the same numbers")


def test_the_form_stays_in_the_window_while_the_panels_scroll(script: ScriptedBackend, url: str, visit: Visit) -> None:
    assert script
    page = visit(url, tab="inside", panel="legacy")
    panel(page, "legacy")
    expect(page.locator("#kv-i-steps")).not_to_be_in_viewport()
    expect(page.locator("#kv-i-start")).to_be_in_viewport()


def test_above_all_panels_the_list_marks_the_first(script: ScriptedBackend, url: str, visit: Visit) -> None:
    assert script
    page = visit(url, tab="inside", panel="legacy")
    panel(page, "legacy")
    page.set_viewport_size({"width": 390, "height": 800})
    page.locator("#kv-i-legacy").scroll_into_view_if_needed()
    page.mouse.wheel(0, -100_000)  # until the reader moves, the panel that was opened is held in its place
    wait_until(page, "() => scrollY === 0")
    expect(page.locator(".kv-contents [aria-current=true]")).to_have_text("1Steps")


def test_the_attention_from_scratch_is_run_at_the_readers_sizes(
    script: ScriptedBackend, url: str, visit: Visit
) -> None:
    """Row 4."""
    page = visit(url, tab="inside", panel="scratch")
    scratch = panel(page, "scratch")
    code = "\n".join(scratch.locator(".kv-code code").all_text_contents())
    assert code == inside_document.scratch()["source"].rstrip("\n")
    expect(scratch.locator(".kv-verdict")).to_contain_text("Fed in 8 calls")
    scratch.get_by_label("Positions").fill("12")
    page.keyboard.press("Tab")
    expect(scratch.locator(".kv-verdict")).to_contain_text("Fed in 12 calls")
    assert parameters(page)["positions"] == ["12"]
    assert last_form(script, "scratch")["positions"] == 12


def test_sliders_move_the_formulas_at_once_and_the_numbers_follow(
    script: ScriptedBackend, url: str, visit: Visit
) -> None:
    """Row 9."""
    page = visit(url, tab="inside", panel="formulas")
    formulas = panel(page, "formulas")
    memory = formulas.locator(".kv-formula").nth(0)
    expect(memory.locator("output")).to_have_text("262 kB")
    expect(formulas.locator(".kv-stacks section > span")).to_have_text("4,096 FLOPs: weights 25 %, attention 75 %")
    before = len(script.forms)
    formulas.get_by_label("Length", exact=True).focus()
    page.keyboard.press("End")
    expect(memory.locator("output")).to_have_text("268 MB")  # 2^20 positions, from the terms alone
    wait_until(page, "() => document.querySelector('.kv-numbers').textContent.endsWith('1048576')")
    assert len(script.forms) > before
    assert formulas.locator(".kv-formula").nth(2).locator("output").count() == 0


def test_the_two_loops_are_aligned_and_their_own_lines_are_marked(
    script: ScriptedBackend, url: str, visit: Visit
) -> None:
    assert script
    page = visit(url, tab="inside", panel="loops")
    loops = panel(page, "loops")
    for side, made in enumerate(inside_document.loops()["loops"]):
        file = loops.locator(".kv-code").nth(side)
        marked = file.locator("li[data-only=true] .kv-number").all_text_contents()
        assert marked == [str(line["number"]) for line in made["lines"] if line["only"]]
    assert loops.locator(".kv-code").nth(0).locator("li").count() == 4
    assert loops.locator(".kv-gap").count() == 1


@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_a_long_line_of_code_wraps_and_stays_aligned(
    width: int, script: ScriptedBackend, url: str, visit: Visit
) -> None:
    made = inside_document.loops()
    made["loops"][1]["lines"][1]["text"] += "  # " + "a long line " * 20
    script.shown = {"loops": made}
    page = visit(url, tab="inside", panel="loops", width=width)
    for name, entry in (("scratch", "From scratch"), ("loops", "Two loops")):
        page.get_by_role("button", name=entry).click()
        for file in panel(page, name).locator(".kv-code").all():
            assert file.evaluate("file => file.scrollWidth <= file.clientWidth")
    if width > 1240:  # below each other otherwise
        tops = (
            panel(page, "loops")
            .locator(".kv-code")
            .evaluate_all("files => files.map(file => [...file.children].map(row => row.getBoundingClientRect().top))")
        )
        assert tops[0] == pytest.approx(tops[1], abs=0.5)


def test_a_cache_goes_to_the_legacy_format_and_to_a_file_and_back(
    script: ScriptedBackend, url: str, visit: Visit
) -> None:
    """Row 3."""
    assert script
    page = visit(url, tab="inside", panel="legacy")
    legacy = panel(page, "legacy")
    expect(legacy.locator(".kv-box pre")).to_contain_text("keys (1, 2, 3, 8)")
    assert legacy.locator(".kv-resumed > div").count() == 3
    expect(legacy.locator(".kv-verdict")).to_contain_text("The same 4 tokens each time.")


@pytest.mark.parametrize("name", SHOWN)
def test_a_panel_that_cannot_be_shown_says_why_and_the_others_are_shown(
    name: str, script: ScriptedBackend, url: str, visit: Visit
) -> None:
    script.shown = {name: {"cannot": f"This model has no {inside_document.HOSTILE}."}}
    page = visit(url, tab="inside", panel=name)
    expect(panel(page, name, "cannot")).to_contain_text(f"This model has no {inside_document.HOSTILE}.")
    other = "past" if name != "past" else "loops"
    page.locator(f".kv-contents li:has-text('{ORDER.index(other) + 1}') button").click()
    panel(page, other)
    assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize(("name", "field", "key"), [("roles", "Layer", "layer"), ("scratch", "Heads", "heads")])
def test_after_a_refused_layer_or_size_another_can_be_chosen(
    name: str, field: str, key: str, script: ScriptedBackend, url: str, visit: Visit
) -> None:
    script.shown = {name: {"cannot": "Layer 0 has no attention."}}
    page = visit(url, tab="inside", panel=name)
    stuck = panel(page, name, "cannot")
    script.shown = {}
    stuck.get_by_label(field).fill("4")
    stuck.get_by_label(field).press("Enter")
    expect(panel(page, name).locator(".kv-panelbody")).to_be_visible()
    assert last_form(script, name)[key] == 4


def test_a_link_beyond_the_run_opens_its_last_step(script: ScriptedBackend, url: str, visit: Visit) -> None:
    page = visit(url, tab="inside", panel="steps", step=999, layer="nan", head=-1, scratch_seed="1e999")
    count = len(inside_document.steps()["steps"])
    expect(panel(page, "steps").locator(".kv-at")).to_have_text(f"step {count} of {count}")
    assert {script.forms[0][key] for key in ("layer", "head") if key in script.forms[0]} <= {0}


def test_attention_that_cannot_be_shown_says_why(script: ScriptedBackend, url: str, visit: Visit) -> None:
    script.shown = {"attention": {"cannot": "This model has no attention weights."}}
    page = visit(url, tab="inside")
    steps = panel(page, "steps")
    steps.get_by_label("Colour by the real attention weights").check()
    expect(steps.locator(".kv-attention")).to_contain_text("This model has no attention weights.")


def test_a_technical_term_shows_its_definition(script: ScriptedBackend, url: str, visit: Visit) -> None:
    assert script
    page = visit(url, tab="inside")
    word = panel(page, "steps").locator(".kv-panellead dfn").first
    word.focus()
    expect(page.locator("#kv-tip")).to_be_visible()


def test_model_text_is_never_read_as_markup(script: ScriptedBackend, url: str, visit: Visit) -> None:
    assert script
    page = visit(url, tab="inside")
    expect(panel(page, "steps").locator(".kv-run")).to_contain_text(inside_document.HOSTILE)
    assert page.locator(".kv-inside img").count() == 0
    assert page.evaluate("window.hacked") is None


def test_after_a_refusal_another_text_is_requested(script: ScriptedBackend, url: str, visit: Visit) -> None:
    script.refuse = BadInput("The text has 99 tokens, and this model can hold 64.")
    page = visit(url, tab="inside")
    expect(panel(page, "steps", "error")).to_contain_text("The text has 99 tokens, and this model can hold 64.")
    script.refuse = None
    page.fill("#kv-i-prompt textarea", "Shorter")
    panel(page, "steps")
    assert script.forms[-1]["prompt"] == "Shorter"


def test_stop_ends_the_run_and_show_starts_it_again(script: ScriptedBackend, url: str, visit: Visit) -> None:
    script.gate.clear()
    page = visit(url, tab="inside")
    panel(page, "steps", "working")
    page.click("#kv-i-stop button, button#kv-i-stop")
    expect(panel(page, "steps", "stopped")).to_contain_text("Stopped before this was computed.")
    assert script.stopped
    script.gate.set()
    page.click("#kv-i-start")
    panel(page, "steps")


def test_a_stop_that_arrives_before_its_request_ends_the_run(script: ScriptedBackend, url: str, visit: Visit) -> None:
    script.gate.clear()
    page = visit(url, tab="race")
    held: list[Route] = []

    def hold(route: Route) -> None:
        if "panels" in (route.request.post_data or "") and not held:
            held.append(route)
        else:
            route.continue_()

    page.route("**/queue/join*", hold)
    page.click("#kv-tabbutton-inside")
    panel(page, "steps", "working")
    while not held:
        page.wait_for_timeout(20)
    page.click("#kv-i-stop button, button#kv-i-stop")
    page.wait_for_timeout(500)  # the server has found nothing to stop
    held[0].continue_()
    panel(page, "steps", "stopped")
    script.gate.set()


def test_a_changed_text_ends_the_run_of_the_old_text(script: ScriptedBackend, url: str, visit: Visit) -> None:
    script.gate.clear()
    page = visit(url, tab="inside")
    panel(page, "steps", "working")
    page.fill("#kv-i-prompt textarea", "Another text")
    page.wait_for_timeout(1500)
    script.gate.set()
    panel(page, "steps")
    assert last_form(script, "steps")["prompt"] == "Another text"


def test_a_link_restores_the_step_the_layer_and_the_text(script: ScriptedBackend, url: str, visit: Visit) -> None:
    page = visit(url, tab="inside", prompt="A link’s own text", step=2, layer=1, head=1, panel="steps")
    panel(page, "steps")
    assert script.forms[0]["prompt"] == "A link’s own text"
    page.click("#kv-i-link")
    expect(page.locator(".kv-sharecard input[type=text]")).to_have_value(re.compile("tab=inside"))
    link = page.locator(".kv-sharecard input[type=text]").input_value()
    query = parse_qs(urlsplit(link).query)
    assert {key: query[key][0] for key in ("tab", "panel", "step", "layer", "head", "prompt")} == {
        "tab": "inside", "panel": "steps", "step": "2", "layer": "1", "head": "1", "prompt": "A link’s own text",
    }  # fmt: skip


def test_inside_opens_with_the_text_and_tokens_of_a_lane(script: ScriptedBackend, url: str, visit: Visit) -> None:
    page = visit(url)
    reader = {"prompt": "What the race read", "model": "org/model", "chat": "1"}
    asked_for = {"panel": "steps", "reader": reader, "continuation": [7, 8, 9], "lane": "Re-encoding"}
    imported(page, "base/bus.js", "({ emit }, asked) => emit('why', asked)", asked_for)
    steps = panel(page, "steps")
    expect(steps.locator(".kv-handed")).to_contain_text("The tokens are those that Re-encoding wrote in the race.")
    form = last_form(script, "steps")
    assert (form["prompt"], form["chat"], form["continuation"]) == ("What the race read", True, [7, 8, 9])
    assert form["max_new_tokens"] == 3
    page.wait_for_timeout(1000)  # what the hand-over itself changed does not take it back
    expect(steps.locator(".kv-handed")).to_be_visible()
    page.get_by_role("button", name="Have the model write").click()
    expect(steps.locator(".kv-handed")).to_be_hidden()
    assert "continuation" not in last_form(script, "steps")


def test_inside_opens_with_the_model_name_of_the_race_form(script: ScriptedBackend, url: str, visit: Visit) -> None:
    page = visit(url)
    asked_for = {"panel": "steps", "reader": {"prompt": "Hi", "model": "org/Short"}, "continuation": [7], "lane": "A"}
    imported(page, "base/bus.js", "({ emit }, asked) => emit('why', asked)", asked_for)
    expect(panel(page, "steps").locator(".kv-handed")).to_be_visible()
    expect(page.locator("#kv-i-model input")).to_have_value("Short")
    assert last_form(script, "steps")["model"] == "Short"


def test_back_returns_to_the_unchanged_race(script: ScriptedBackend, url: str, visit: Visit) -> None:
    assert script
    page = visit(url, tokens=3, height=400)
    race = urlsplit(page.url).query
    page.click("#kv-race")
    onward = page.get_by_role("button", name="Step through the tokens of Re-encoding")
    onward.scroll_into_view_if_needed()
    scrolled = page.evaluate("scrollY")
    assert scrolled > 0
    for back in (page.go_back, page.get_by_role("button", name="Back to the race").click):
        onward.click()
        panel(page, "steps")
        back()
        expect(page.get_by_role("tab", name="Race")).to_have_attribute("aria-selected", "true")
        expect(page.locator(".kv-strip[data-state=finished]")).to_be_visible()
        wait_until(page, "() => !location.search.includes('panel')")
        assert urlsplit(page.url).query == race
        assert page.evaluate("scrollY") == scrolled


def test_the_list_of_panels_stays_visible_and_marks_the_current_panel(
    script: ScriptedBackend, url: str, visit: Visit
) -> None:
    assert script
    for width in (1440, 390):
        page = visit(url, tab="inside", width=width)
        panel(page, "steps")
        entries = page.locator(".kv-contents li button")
        expect(entries).to_have_count(len(SHOWN) + 1)  # and the attention weights, a part of the first
        for short, name in (("Rounding", "rounding"), ("Legacy format", "legacy")):
            page.get_by_role("button", name=short).click()
            panel(page, name)
            current = page.locator(".kv-contents [aria-current=true]")
            expect(current).to_have_count(1)
            expect(current).to_contain_text(short)
            expect(current).to_be_in_viewport()
            expect(page.locator(f"#kv-i-{name} h3")).to_be_in_viewport()
        page.get_by_role("button", name="Attention").press("Enter")
        expect(page.locator("#kv-i-steps .kv-attention")).to_contain_text("adds up to 100 %")
        assert parameters(page)["panel"] == ["attention"]


def test_a_waiting_panel_says_what_is_being_computed(script: ScriptedBackend, url: str, visit: Visit) -> None:
    script.gate.clear()
    page = visit(url, tab="inside", height=1600)
    steps, past = panel(page, "steps", "working"), panel(page, "past", "waiting")
    expect(steps.locator(".kv-panelnote")).to_contain_text("Computing the steps of a run: waiting for the device")
    expect(past.locator(".kv-panelnote")).to_contain_text("Waits for its turn: the hidden states")
    expect(past.locator(".kv-skeleton")).to_be_visible()
    script.gate.set()
    panel(page, "past")
    expect(past.locator(".kv-skeleton")).to_be_hidden()


def test_finished_steps_are_drawn_while_later_ones_are_decoded(script: ScriptedBackend, url: str, visit: Visit) -> None:
    script.part = {"steps": inside_document.steps(2)}
    script.gate.clear()
    page = visit(url, tab="inside", step=2)
    steps = panel(page, "steps", "working")
    expect(steps.locator(".kv-at")).to_have_text("step 2 of 2")
    expect(steps.locator(".kv-run button")).to_have_count(5)
    script.gate.set()
    panel(page, "steps")
    expect(steps.locator(".kv-at")).to_have_text("step 2 of 4")
    expect(steps.locator(".kv-run button")).to_have_count(7)


def test_a_lane_of_an_ended_race_can_be_stepped_through(script: ScriptedBackend, url: str, visit: Visit) -> None:
    page = visit(url)
    page.click("#kv-race")
    page.get_by_role("button", name="Step through the tokens of Re-encoding").click()
    steps = panel(page, "steps")
    expect(steps.locator(".kv-handed")).to_contain_text("Re-encoding")
    form = last_form(script, "steps")
    assert form["continuation"] == [100]  # the one token that the lane wrote


def test_the_why_link_opens_the_panel_with_the_text_of_the_race(
    script: ScriptedBackend, url: str, visit: Visit
) -> None:
    page = visit(url)
    asked_for = {"panel": "rounding", "reader": {"prompt": "What the race read"}}
    imported(page, "base/bus.js", "({ emit }, asked) => emit('why', asked)", asked_for)
    panel(page, "rounding")
    assert script.forms[-1]["prompt"] == "What the race read"
    assert parameters(page)["panel"] == ["rounding"]


def test_on_a_phone_nothing_is_cut_off(script: ScriptedBackend, url: str, visit: Visit) -> None:
    assert script
    page = visit(url, width=390, height=844, tab="inside")
    for name in SHOWN:
        page.locator(f"#kv-i-{name}").scroll_into_view_if_needed()
        panel(page, name)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_every_picture_has_a_text_alternative(script: ScriptedBackend, url: str, visit: Visit) -> None:
    assert script
    page = visit(url, tab="inside")
    for name in SHOWN:
        page.locator(f"#kv-i-{name}").scroll_into_view_if_needed()
        panel(page, name)
    words = page.eval_on_selector_all(".kv-inside [role=img]", "all => all.map(one => one.getAttribute('aria-label'))")
    assert len(words) >= 7
    assert all(len(text or "") > 20 for text in words)


@pytest.mark.parametrize("name", SHOWN)
def test_each_panel_shows_the_real_model(name: str, real_app: str, visit: Visit) -> None:
    page = visit(real_app, tab="inside", panel=name, tokens=6)
    shown = panel(page, name)
    assert "NaN" not in shown.inner_text()
    assert "undefined" not in shown.inner_text()
    if name == "steps":
        expect(shown.locator(".kv-at")).to_have_text("step 1 of 6")
        expect(shown.locator(".kv-growth")).to_contain_text("30 layers: keys (1, 3, ")
        expect(shown.locator(".kv-answer")).to_contain_text("The first token is slow because its step reads all ")
        shown.get_by_label("Colour by the real attention weights").check()
        expect(shown.locator(".kv-attention")).to_contain_text("adds up to 100 %")


def test_panels_are_in_the_order_of_the_lesson(url: str, visit: Visit) -> None:
    page = visit(url)
    names = imported(page, "inside/panels.js", "({ PANELS }) => PANELS.map(({ name }) => name)")
    assert names == ORDER


#: Notes, after each frame, how far a panel is from the top of the window.
PLACES = """(name) => {
  window.places = [];
  const look = () => {
    requestAnimationFrame(look);
    setTimeout(() => {
      const panel = document.getElementById(`kv-i-${name}`);
      if (panel?.offsetHeight) places.push(Math.round(panel.getBoundingClientRect().top));
    });
  };
  look();
}"""


@pytest.mark.parametrize("name", ORDER)
def test_a_link_to_a_panel_stands_at_it_from_the_start_and_stays_there(
    pages: tuple[ScriptedBackend, str], script: ScriptedBackend, browser: Browser, name: str
) -> None:
    script.gate.clear()
    context = browser.new_context(viewport={"width": 1024, "height": 768})
    page = context.new_page()
    page.add_init_script(f"({PLACES})({name!r})")
    page.goto(f"{pages[1]}?tab=inside&panel={name}")
    panel(page, name, "working")
    current = page.locator(".kv-contents [aria-current] span")
    number = str(ORDER.index(name) + 1)
    expect(current).to_have_text(number)
    places = page.evaluate("[...new Set(places)]")
    assert len(places) == 1
    script.gate.set()
    panel(page, name)
    expect(page.locator(".kv-panel[data-state=working]")).to_have_count(0)  # what is in view beside it is shown, too
    wait_until(
        page,
        "([name, place]) => Math.abs(document.getElementById(`kv-i-${name}`).getBoundingClientRect().top - place) <= 1",
        arg=[name, places[0]],
    )
    expect(current).to_have_text(number)
    context.close()


def test_each_formula_of_the_list_stands_with_the_real_models_numbers(real_app: str, visit: Visit) -> None:
    """Row 9: the cache's update, the attention of one row, the rest of a layer, FLOPs, mask and next position."""
    formulas = panel(visit(real_app, tab="inside", panel="formulas", length=100), "formulas")
    for name, numbers in {
        "Cache update": "(b, 3, t, 64)",
        "Attention of one row": "d = 64, heads = 9",
        "Feed-forward of one position": "1,536 · 576",
        "A step with the cache": "N = 134,515,008",
        "The same step without it": "for the last position alone",
        "Mask": "(b, (t - 1) + 1)",
        "Next position": "t - 1",
    }.items():
        section = formulas.get_by_role("region", name=name, exact=True)
        expect(section.locator(".kv-numbers")).to_contain_text(numbers)
    # A short text gains little: what a step reads is nearly all weights, with a cache and without.
    expect(formulas.locator(".kv-stacks section > span").last).to_have_text(
        "543 MB: weights 99 %, cache 0.8 %; without a cache 538 MB"
    )
    place = formulas.get_by_role("region", name="Next position")
    expect(place.locator(".kv-value")).to_have_text("99")
    expect(place.locator("canvas")).to_have_count(0)  # that a place grows by one with each token needs no curve
    expect(formulas.get_by_role("region", name="Memory of the cache").locator("canvas")).to_have_count(1)
