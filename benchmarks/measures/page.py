"""Time a visit on a slow machine: until Race can be pressed, beside a bare Gradio page with one load event.

Chromium's processor is throttled four times (Chrome DevTools Protocol, `Emulation.setCPUThrottlingRate`). Each round
opens both pages, in random order, in a browser that has nothing in its cache, and then the app once more with it. The
limit is the bare page: what Gradio itself takes until the answer to a load event is on the page.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator
from statistics import median

from playwright.sync_api import BrowserContext, sync_playwright

from benchmarks.figure import Figure
from benchmarks.tools.servers import wait_for_rest
from tests.serving import served

ROUNDS = 5
THROTTLE = 4
PATIENCE_MS = 120_000
BARE = """
import gradio as gr
with gr.Blocks(analytics_enabled=False) as blocks:
    button = gr.Button("Go", interactive=False, elem_id="kv-race")
    blocks.load(lambda: gr.Button(interactive=True), outputs=button)
blocks.launch(ssr_mode=False)
"""
ENABLED = "() => document.querySelector('#kv-race')?.disabled === false"


def visit(context: BrowserContext, url: str) -> float:
    """Measure the seconds from asking for a page until its button can be pressed."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": THROTTLE})
    start = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_function(ENABLED, polling=20)  # by default it polls by frames, and makes them
    seconds = time.perf_counter() - start
    page.close()
    return seconds


def run() -> Iterator[Figure]:
    """Return medians over the rounds. The app has started before the first: its loading and trials take no part."""
    first: dict[str, list[float]] = {"app": [], "bare": []}
    again: list[float] = []
    with sync_playwright() as playwright, served() as app, served(program=("-c", BARE)) as other:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        waiting = browser.new_page()
        waiting.goto(app)
        waiting.wait_for_selector("#kv-header:has-text('cpu'), #kv-header:has-text('cuda')", timeout=PATIENCE_MS)
        waiting.close()
        wait_for_rest(app)
        for _ in range(ROUNDS):
            for name, url in random.sample([("app", app), ("bare", other)], 2):
                context = browser.new_context(viewport={"width": 1440, "height": 900})
                first[name].append(visit(context, url))
                if name == "app":
                    again.append(visit(context, url))
                context.close()
        browser.close()
    seconds, least = median(first["app"]), median(first["bare"])
    yield Figure(f"opening the page to Race enabled, processor throttled {THROTTLE} times", seconds, "s")
    yield Figure("(for reference) the same with the files in the browser's cache", median(again), "s")
    yield Figure("(for reference) a bare Gradio page with one load event", least, "s")
    yield Figure("the page over the bare page", seconds / least, "times", 2)
