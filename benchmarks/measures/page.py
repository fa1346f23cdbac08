"""Time a visit on a slow machine: until Race can be pressed, beside a bare Gradio page with one load event.

Chromium's processor is throttled four times (Chrome DevTools Protocol, `Emulation.setCPUThrottlingRate`). Each round
opens both pages, in random order, in a browser that has nothing in its cache. The ratio is of such pairs: the bare page
alone takes 1.4 to 1.7 s from one minute to the next. The limit is the bare page: what Gradio itself takes until the
answer to a load event is on the page.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from functools import partial

import numpy as np
from playwright.sync_api import Browser, sync_playwright

from benchmarks.figure import Figure
from benchmarks.tools import lockstep
from benchmarks.tools.servers import wait_for_rest
from tests.serving import served

ROUNDS = 12
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


def visit(browser: Browser, url: str) -> float:
    """Measure the seconds from asking for a page until its button can be pressed, with nothing in the cache."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": THROTTLE})
    start = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_function(ENABLED, polling=20)  # by default it polls by frames, and makes them
    seconds = time.perf_counter() - start
    context.close()
    return seconds


def run() -> Iterator[Figure]:
    """Open both pages in turns. The app has started before the first: its loading and trials take no part."""
    with sync_playwright() as playwright, served() as app, served(program=("-c", BARE)) as other:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        waiting = browser.new_page()
        waiting.goto(app)
        waiting.wait_for_selector("#kv-header:has-text('cpu'), #kv-header:has-text('cuda')", timeout=PATIENCE_MS)
        waiting.close()
        wait_for_rest(app)
        pages = {"app": app, "bare": other}
        loops = {name: lockstep.repeated(partial(visit, browser, url)) for name, url in pages.items()}
        seconds = lockstep.take(loops, rounds=ROUNDS, positions=1, skip=0)
        browser.close()
    opened, least = (float(np.median(seconds[name])) for name in pages)
    over = lockstep.ratio(seconds["app"], seconds["bare"])
    yield Figure(f"opening the page to Race enabled, processor throttled {THROTTLE} times", opened, "s")
    yield Figure("(for reference) a bare Gradio page with one load event", least, "s")
    yield Figure("the page over the bare page", over.value, "times", 2, interval=over.interval)
