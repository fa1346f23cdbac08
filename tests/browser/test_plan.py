"""The Plan tab in a browser: worked out as the form is filled, in words, figures, a bar and a chart."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr
import pytest
from playwright.sync_api import Page, expect

from kvdemo.core.visitor import Visitor
from kvdemo.web.tabs.plan import DEFAULTS, add_plan_tab
from kvdemo.web.theme import launch_options
from tests.web.tabs.test_plan import backend, planned

from .actions import imported, wait_until
from .conftest import Visit

MARKUP = "<img src=x onerror='window.hacked=1'>${window.hacked=1}{{constructor}}"


class Planner:
    """Plans, keeps what it was asked, and can be held up."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Any]] = []
        self.gate = threading.Event()
        self.gate.set()

    def plan(self, form: Mapping[str, Any], visitor: Visitor) -> dict[str, Any]:  # noqa: ARG002
        self.asked.append(dict(form))
        self.gate.wait()
        return planned(form, **({"name": MARKUP, "window": 4095} if form["config"] else {}))


@pytest.fixture(scope="module")
def planner() -> Planner:
    return Planner()


@pytest.fixture(scope="module")
def plan_page(planner: Planner) -> Iterator[str]:
    """The address of a page with this tab alone."""
    with gr.Blocks(analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML("cpu", elem_id="kv-header")
        with gr.Column(elem_id="kv-app"), gr.Column(elem_id="kv-tab-plan", elem_classes="kv-tab"):
            add_plan_tab(backend(plan=planner.plan))
    _, url, _ = blocks.queue().launch(prevent_thread_lock=True, quiet=True, **launch_options())
    yield url
    blocks.close()


def fill(page: Page, name: str, value: str) -> None:
    page.fill(f"#kv-p-{name} :is(input, textarea)", value)


def figure(page: Page, name: str) -> str:
    return page.locator(".kv-facts > div", has_text=name).locator("dd").inner_text().split("\n")[0]


def test_the_page_says_what_the_plan_says(plan_page: str, visit: Visit) -> None:
    page = visit(plan_page, tab="plan")
    made = planned(DEFAULTS)
    expect(page.locator(".kv-plan h2")).to_have_text(
        f"llama-7b in float16: 524 kB of cache a token; 24 GB hold {made['fit']['largest_context']:,} tokens "
        "beside its weights."
    )
    assert figure(page, "Largest context") == f"{made['fit']['largest_context']:,}"
    assert figure(page, "Largest batch") == f"{made['fit']['largest_batch']:,}"
    assert figure(page, "Cache outgrows weights") == f"{made['cache']['outgrows_weights_at']:,}"
    assert figure(page, "Decode floor") == f"{made['decode']['ms_per_token']:.1f} ms"
    assert page.locator(".kv-lengths tbody tr").count() == len(made["cache"]["at"])
    shown = page.locator(".kv-plan").inner_text()
    assert all(sentence in shown for sentence in (*made["sentences"], *made["notes"]))
    expect(page.locator(".kv-plan .js-plotly-plot .scatterlayer .trace").first).to_be_attached()


def test_every_figure_is_labelled_with_its_source(plan_page: str, visit: Visit) -> None:
    page = visit(plan_page, tab="plan")
    facts = page.locator(".kv-facts dt")
    expect(facts).to_have_count(6)
    words = [fact.split("\n")[-1].split()[-1] for fact in facts.all_inner_texts()]
    assert words == ["formula"] * 4 + ["predicted"] * 2
    page.locator(".kv-facts .kv-term", has_text="Decode floor").focus()
    expect(page.locator("#kv-tip")).to_contain_text("memory bandwidth")


def test_a_part_that_does_not_fit_is_drawn_beyond_the_memory_bar(plan_page: str, visit: Visit) -> None:
    page = visit(plan_page, tab="plan")
    expect(page.locator(".kv-memory")).to_be_visible()
    assert page.locator(".kv-memory u").count() == 0
    page.get_by_role("button", name="16", exact=True).click()
    fill(page, "batch", "8")
    expect(page.locator(".kv-memory u")).to_be_visible()
    need = planned({**DEFAULTS, "memory_gb": 16, "batch": 8})["fit"]["needed_bytes"]
    expect(page.locator(".kv-memorykeys [data-part=over]")).to_contain_text(f"{(need - 16e9) / 1e9:.1f} GB")
    fill(page, "memory-gb", "8")
    expect(page.locator(".kv-plan h2")).to_contain_text("its weights alone, 13.5 GB, do not fit into 8 GB")


def test_a_bad_field_gets_a_sentence_and_the_rest_stays(plan_page: str, visit: Visit) -> None:
    page = visit(plan_page, tab="plan")
    expect(page.locator(".kv-memory")).to_be_visible()
    before = page.locator(".kv-plan h2").inner_text()
    fill(page, "batch", "-3")
    alert = page.locator(".kv-plan .kv-alert")
    expect(alert).to_contain_text("The batch must be a whole number")
    assert page.locator(".kv-plan h2").inner_text() == before
    expect(page.locator(".kv-plan h2")).to_have_css("opacity", "0.55")  # it is of the form before
    assert page.locator("#kv-p-memory-gb input").input_value() == "24"
    fill(page, "batch", "2")
    expect(alert).to_be_hidden()
    expect(page.locator(".kv-plan h2")).to_have_css("opacity", "1")
    expect(page.locator(".kv-memorykeys")).to_contain_text("2 × 4,096 tokens")


def test_a_change_during_a_request_is_planned_afterwards(plan_page: str, planner: Planner, visit: Visit) -> None:
    page = visit(plan_page, tab="plan")
    expect(page.locator(".kv-memory")).to_be_visible()
    planner.gate.clear()
    try:
        asked = len(planner.asked)
        fill(page, "memory-gb", "30")
        expect(page.locator(".kv-plan")).to_have_attribute("aria-busy", "true")
        while len(planner.asked) == asked:
            page.wait_for_timeout(20)
        for memory in ("31", "32", "33"):
            fill(page, "memory-gb", memory)
            page.wait_for_timeout(400)
    finally:
        planner.gate.set()
    expect(page.locator(".kv-plan h2")).to_contain_text("33 GB hold")
    expect(page.locator(".kv-plan")).to_have_attribute("aria-busy", "false")


def test_a_hostile_configuration_is_shown_as_it_is(plan_page: str, visit: Visit) -> None:
    page = visit(plan_page, tab="plan")
    expect(page.locator(".kv-memory")).to_be_visible()
    page.locator("#kv-p-paste > button").click()
    fill(page, "config", "{}")
    expect(page.locator(".kv-plan h2")).to_contain_text(MARKUP)
    assert page.evaluate("window.hacked") is None
    assert page.locator(".kv-plan img").count() == 0
    # Half of its layers slide: the curve bends where their windows are full, and is the planner's on either side.
    # The chart is drawn a frame behind the sentence.
    wait_until(page, "document.querySelector('.kv-plan .kv-plot')?.data?.[0].x.includes(4095)")
    trace = page.evaluate("(({ x, y }) => [x, y])(document.querySelector('.kv-plan .kv-plot').data[0])")
    points = dict(zip(*trace, strict=True))
    made = planned(DEFAULTS, window=4095)["cache"]
    assert points[4095] == 4095 * made["bytes_per_token"]
    last = max(points)
    assert points[last] == points[4095] + (last - 4095) * made["bytes_per_token_past_windows"]


def test_no_plan_is_requested_before_the_tab_is_opened(plan_page: str, planner: Planner, visit: Visit) -> None:
    asked = len(planner.asked)
    page = visit(plan_page)
    page.wait_for_selector("#kv-p-model", state="attached")
    page.wait_for_timeout(500)
    assert len(planner.asked) == asked
    imported(page, "shell/tabs.js", "({ openTab }) => openTab('plan')")
    expect(page.locator(".kv-memory")).to_be_visible()


def test_in_a_narrow_form_no_choice_is_cut_off(plan_page: str, visit: Visit) -> None:
    page = visit(plan_page, width=1024, tab="plan")
    expect(page.locator(".kv-memory")).to_be_visible()
    for name in ("dtype", "cache-dtype"):
        assert page.eval_on_selector(f"#kv-p-{name} input", "input => input.scrollWidth - input.clientWidth") <= 0, name


def test_on_a_phone_nothing_is_cut_off(plan_page: str, visit: Visit) -> None:
    page = visit(plan_page, width=390, height=844, tab="plan")
    expect(page.locator(".kv-memory")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
