"""Two files into the Compare tab, in a browser: what a visitor sees, and what a hostile file cannot do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from playwright.sync_api import Page, expect

from kvdemo.compare.comparison import compare
from kvdemo.compare.validation import load
from kvdemo.web.tabs.compare import add_compare_tab
from kvdemo.web.theme import launch_options
from tests.web.tabs.test_compare import backend, document, saved

from .conftest import Visit

MARKUP = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script>${window.hacked=1}{{constructor}}"


@pytest.fixture(scope="module")
def compare_page() -> Iterator[str]:
    """The address of a page with this tab alone."""
    with gr.Blocks(analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML("cpu", elem_id="kv-header")
        with gr.Column(elem_id="kv-app"), gr.Column(elem_id="kv-tab-compare", elem_classes="kv-tab"):
            add_compare_tab(backend())
    _, url, _ = blocks.queue().launch(prevent_thread_lock=True, quiet=True, **launch_options())
    yield url
    blocks.close()


def give(page: Page, name: str, path: str) -> None:
    """Choose a file, and wait until the page has said something about it."""
    page.set_input_files(f"#kv-file-{name} input[type=file]", path)
    expect(page.locator(f"#kv-note-{name} p")).not_to_be_empty()


def test_two_files_become_a_table_that_agrees_with_the_comparison(
    compare_page: str, visit: Visit, tmp_path: Path
) -> None:
    a, b = document("no_cache", "dynamic_cache"), document("no_cache", "dynamic_cache", seconds=(2.0, 2.2))
    b["environment"]["gpu"] = "A machine’s"
    page = visit(compare_page, tab="compare")
    expect(page.locator(".kv-nothing")).to_contain_text("Drop two JSON files")
    give(page, "a", saved(tmp_path, "a.json", a))
    expect(page.locator(".kv-nothing")).to_contain_text("B needs a file that kvdemo exported")
    give(page, "b", saved(tmp_path, "b.json", b))
    made = compare(*(load(json.dumps(document)) for document in (a, b)))
    expect(page.locator(".kv-comparison h2")).to_have_text(made["headline"])
    rows = page.locator(".kv-figures tr[data-metric]")
    expect(rows).to_have_count(6)
    shown = rows.nth(0).inner_text()
    figures = made["lanes"][0]["metrics"]["e2e_s"]
    assert all(part in shown for part in ("1.05 s", "± 70.7 ms", "2.10 s", "2 / 2", f"{1 / figures['ratio']:.2f}"))
    assert figures["statement"].removeprefix("E2E: ") in shown
    assert page.locator(".kv-differences tbody tr").all_inner_texts() == ["GPU\tnone\tA machine’s"]


def test_a_bad_file_gets_a_sentence_and_the_next_one_works(compare_page: str, visit: Visit, tmp_path: Path) -> None:
    page = visit(compare_page, tab="compare")
    give(page, "a", saved(tmp_path, "a.json", document()))
    give(page, "b", saved(tmp_path, "b.json", b"\xff\xfe\x00"))
    note = page.locator("#kv-note-b p")
    expect(note).to_contain_text("not UTF-8")
    expect(note).to_have_attribute("data-bad", "")
    expect(page.locator("#kv-note-a p")).to_have_text("NO_CACHE · 2 runs")
    page.locator("#kv-file-b").get_by_label("Clear").click()
    expect(note).to_be_empty()
    give(page, "b", saved(tmp_path, "c.json", document()))
    expect(page.locator(".kv-likeness")).to_have_text("Same work")


def test_a_hostile_file_is_shown_as_text_and_runs_nothing(compare_page: str, visit: Visit, tmp_path: Path) -> None:
    hostile = document(model=MARKUP)
    hostile["lanes"][0]["name"] = MARKUP
    hostile["environment"]["gpu"] = MARKUP
    hostile["prompt"]["text"] = MARKUP
    page = visit(compare_page, tab="compare")
    give(page, "a", saved(tmp_path, "a.json", document()))
    give(page, "b", saved(tmp_path, "<b>{{b}}.json", hostile))
    expect(page.locator(".kv-likeness")).to_have_text("Not the same work")
    assert "<img src=x onerror='window.hacked=1'><script>" in page.locator(".kv-differences").inner_text()
    assert page.locator("#kv-note-b p").inner_text().startswith("<img src=x")
    assert page.evaluate("window.hacked") is None
    assert page.locator("#kv-compare img").count() == 0


def test_on_a_phone_nothing_is_cut_off_and_a_tap_explains(compare_page: str, visit: Visit, tmp_path: Path) -> None:
    page = visit(compare_page, width=390, height=844, tab="compare")
    give(page, "a", saved(tmp_path, "a.json", document()))
    give(page, "b", saved(tmp_path, "b.json", document(model="a-model-with-a-name-that-goes-on-" + "and-on" * 20)))
    expect(page.locator(".kv-figures")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("[data-metric=ttft_s] .kv-term").first.click()
    expect(page.locator("#kv-tip")).to_contain_text("Time to first token")


def test_the_last_of_several_chosen_files_is_compared(compare_page: str, visit: Visit, tmp_path: Path) -> None:
    paths: dict[str, Any] = {name: saved(tmp_path, f"{name}.json", document(name)) for name in ("x", "y")}
    page = visit(compare_page, tab="compare")
    page.set_input_files("#kv-file-a input[type=file]", paths["x"])
    page.set_input_files("#kv-file-b input[type=file]", paths["y"])
    expect(page.locator(".kv-comparison h2")).to_contain_text("no strategy is in both files")
    expect(page.locator(".kv-remarks")).to_contain_text("Only in A: X")
