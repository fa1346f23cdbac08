"""The browser's half on its way: behind a proxy's path, kept for the next visit, and late."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Route, expect

from kvdemo.web.page import build, launch_options
from tests.serving import free_port
from tests.web.scripted_backend import ScriptedBackend

from .actions import race, wait_until
from .scripted import scripted_page

TAKEN = ("theme", "head", "app_kwargs", "footer_links", "enable_monitoring")


@contextmanager
def served_under(path: str) -> Iterator[str]:
    """The address of a page that a larger server has under a path."""
    options = {name: value for name, value in launch_options().items() if name in TAKEN}
    app = gr.mount_gradio_app(FastAPI(), build(ScriptedBackend()), path=path, **options)
    server = uvicorn.Server(uvicorn.Config(app, port=free_port(), log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.config.port}{path}/"
    server.should_exit = True


def test_a_page_under_a_root_path_loads_its_files_and_its_chart(browser: Browser) -> None:
    with served_under("/some/where") as url:
        page = browser.new_page()
        page.goto(url)
        wait_until(page, "() => document.querySelector('#kv-race')?.disabled === false")
        race(page)
        expect(page.locator(".js-plotly-plot .scatterlayer .trace").first).to_be_attached()
        page.close()


# How many bytes of each script and style the browser had to fetch.
FETCHED = """() => performance.getEntriesByType("resource").filter(({ name }) => name.includes("/frontend/"))
  .map(({ transferSize }) => transferSize)"""


def test_a_second_visit_fetches_no_script_and_no_style(browser: Browser) -> None:
    with scripted_page(ScriptedBackend()) as url:
        context = browser.new_context()
        fetched: list[list[int]] = [[]]
        for _ in range(2):
            page = context.new_page()
            page.goto(url)
            page.wait_for_selector("#kv-race:enabled")
            # Some scripts are fetched after that: the second visit is read once it has as many as the first.
            wait_until(page, f"seen => ({FETCHED})().length >= seen", arg=len(fetched[-1]))
            fetched.append(page.evaluate(FETCHED))
        assert len(fetched[1]) > 20
        assert all(fetched[1])
        assert not any(fetched[2])
        context.close()


def test_a_script_that_loads_late_draws_what_was_requested_before(browser: Browser) -> None:
    def late(route: Route) -> None:
        time.sleep(3)
        route.continue_()

    with scripted_page(ScriptedBackend()) as url:
        page = browser.new_page()
        page.route("**/frontend/*/main.js", late)
        page.goto(f"{url}?tab=measure")
        page.wait_for_selector("#kv-header:has-text('cpu')")
        expect(page.locator("#kv-tabbutton-measure")).to_have_attribute("aria-selected", "true")
        expect(page.locator(".kv-lanepicker")).to_have_count(2)
        page.close()


def test_a_script_that_fails_to_load_is_reported_and_fetched_again_at_the_next_use(browser: Browser) -> None:
    views = "**/frontend/*/*/view.js"
    with scripted_page(ScriptedBackend()) as url:
        page = browser.new_page()
        page.route(views, lambda route: route.abort())
        page.goto(url)
        missing = page.get_by_role("alert").filter(has_text="could not be fetched")
        expect(missing).to_have_count(1)
        page.click("#kv-tabbutton-plan")
        page.wait_for_selector("#kv-tab-plan")
        expect(page.locator("#kv-plan .kv-chart")).to_have_count(0)
        page.unroute(views)
        page.click("#kv-tabbutton-race")
        expect(page.locator("#kv-plan .kv-chart")).to_have_count(1)
        expect(missing).to_have_count(0)
        race(page)
        page.close()


def test_the_notice_of_a_missing_script_reloads_the_page(browser: Browser) -> None:
    with scripted_page(ScriptedBackend()) as url:
        page = browser.new_page()
        page.route("**/frontend/*/race/view.js", lambda route: route.abort())
        page.goto(url)
        again = page.get_by_role("button", name="Reload the page")
        expect(again).to_be_visible()
        page.unroute("**/frontend/*/race/view.js")
        again.click()
        page.wait_for_selector("#kv-race:enabled")
        race(page)
        expect(again).to_have_count(0)
        page.close()


def test_a_script_that_a_click_needs_is_fetched_again_by_the_next_click(browser: Browser) -> None:
    with scripted_page(ScriptedBackend()) as url:
        page = browser.new_page()
        page.goto(url)
        page.wait_for_selector("#kv-race:enabled")
        page.route("**/frontend/*/base/explain/doc_card.js", lambda route: route.abort())
        about = page.locator(".kv-about").first
        about.click()
        missing = page.get_by_role("alert").filter(has_text="could not be fetched")
        expect(missing).to_have_count(1)
        page.unroute("**/frontend/*/base/explain/doc_card.js")
        about.click()
        expect(page.get_by_role("dialog")).to_have_count(1)
        expect(missing).to_have_count(0)
        page.close()


def test_the_folded_part_of_a_lane_is_drawn_once_its_script_is_loaded(browser: Browser) -> None:
    with scripted_page(ScriptedBackend()) as url:
        page = browser.new_page()
        page.route("**/frontend/*/form/rules.js", lambda route: route.abort())
        page.goto(url)
        page.wait_for_selector("#kv-race:enabled")
        group = page.locator(".kv-choosing").first
        group.locator("summary").click()
        expect(page.get_by_role("alert").filter(has_text="could not be fetched")).to_have_count(1)
        page.unroute("**/frontend/*/form/rules.js")
        page.click("#kv-tabbutton-plan")
        page.click("#kv-tabbutton-race")
        expect(group.locator(".kv-setting").first).to_be_visible()
        page.close()
