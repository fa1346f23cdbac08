"""Time Inside: each panel's answer for 64 tokens, the scrubber over 256 tokens in Chromium, and their document."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from statistics import median
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Page, sync_playwright

from benchmarks.figure import Figure
from kvdemo.core.inside_settings import DEFAULT_PROMPT, PANELS
from kvdemo.web.tabs.inside_events import drawn_part

if TYPE_CHECKING:
    from kvdemo.server.service import Service

SHORT, LONG = 64, 256
ROUNDS = 3
PATIENCE_MS = 120_000
#: Plays the run from its first step, and counts the steps that are drawn: the label is written with each.
PLAY = """async () => {
    const panel = document.querySelector("#kv-i-steps");
    const [label, play, range] = [".kv-at", ".kv-play", "input[type=range]"].map((one) => panel.querySelector(one));
    range.value = "1";
    range.dispatchEvent(new Event("input"));
    let drawn = 0;
    new MutationObserver(() => { drawn += 1; }).observe(label, { childList: true, characterData: true, subtree: true });
    const start = performance.now();
    play.click();
    while (play.textContent === "Pause") await new Promise((resolve) => setTimeout(resolve, 5));
    return drawn / ((performance.now() - start) / 1000);
}"""


def run(engine: Service, serve: Callable[[], AbstractContextManager[str]]) -> Iterator[Figure]:
    """Medians over the rounds, on the engine's model."""
    held = engine.held
    assert held is not None
    prompt = len(held.encode(held.prompt(DEFAULT_PROMPT, chat=False)))
    for panel in PANELS:
        form = {"prompt": DEFAULT_PROMPT, "panels": [panel], "max_new_tokens": SHORT - prompt}
        seconds = median(_answer(engine, form)[0] for _ in range(ROUNDS))
        yield Figure(f"Inside, {panel}: from the question to the answer, {SHORT} tokens", seconds, "s", 1)
    long = {"prompt": DEFAULT_PROMPT, "panels": ["steps"], "max_new_tokens": LONG - prompt}
    yield Figure(f"Inside, steps: document of {LONG} tokens", len(_answer(engine, long)[1].encode()) / 1000, "kB", 300)
    with serve() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        rate = median(_played(page, f"{url}?tab=inside&tokens={LONG - prompt}") for _ in range(ROUNDS))
        browser.close()
    yield Figure(f"Inside, steps: drawn while {LONG} tokens play", rate, "steps/s", 30, at_most=False)


def _answer(engine: Service, form: dict[str, object]) -> tuple[float, str]:
    """Seconds until the last state, and what the tab is sent of the document."""
    start = time.perf_counter()
    document: Mapping[str, Any] = {}
    for state in engine.inside(form, "benchmark"):
        document = state["document"] or document
    seconds = time.perf_counter() - start
    return seconds, drawn_part(document)


def _played(page: Page, address: str) -> float:
    page.set_default_timeout(PATIENCE_MS)
    page.goto(address, wait_until="load")
    page.wait_for_function("document.querySelector('#kv-i-steps')?.dataset.state === 'shown'", polling=100)
    return float(page.evaluate(PLAY))
