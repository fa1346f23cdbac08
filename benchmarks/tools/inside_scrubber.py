"""Time the scrubber of Inside in Chromium: redraws while a run is dragged through, and what the processor does for one.

A drag asks for another step in each frame; the page draws each of them in the frame's own callback. Frames a second
depend on who else uses the machine. What a redraw takes of the page's thread does not: Chromium's trace has it in
seconds of the processor: all of it, and the scripts, with the layout that they ask for, by themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from statistics import median
from typing import Any

from playwright.sync_api import Page

from benchmarks.figure import Figure
from benchmarks.tools.browser import browser_page

ROUNDS, FRAMES = 3, 240
PATIENCE_MS = 240_000
#: Redraws a second that are asked for, and what one may take of the thread then.
RATE = 30
#: Drags through the run, a step further in each frame: frames a second, and how often the label was written.
DRAG = """async (frames) => {
    const panel = document.querySelector("#kv-i-steps");
    const [label, range] = [".kv-at", "input[type=range]"].map((one) => panel.querySelector(one));
    let drawn = 0;
    new MutationObserver(() => { drawn += 1; }).observe(label, { childList: true, characterData: true, subtree: true });
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    await frame();
    const start = performance.now();
    for (let at = 0; at < frames; at += 1) {
        range.value = String(1 + at % Number(range.max));
        range.dispatchEvent(new Event("input"));
        await frame();
    }
    return { rate: frames / ((performance.now() - start) / 1000), drawn };
}"""
#: Events of a trace: a turn of a thread's loop, which has all that the thread does, and in it the scripts of a frame.
TURN, SCRIPTS = "ThreadControllerImpl::RunTask", "FireAnimationFrame"


def run(address: str, tokens: int) -> Iterator[Figure]:
    """Yield medians over the rounds; the page at the address has the model write up to so many tokens."""
    with browser_page(address) as page:
        page.set_default_timeout(PATIENCE_MS)
        page.wait_for_function("document.querySelector('#kv-i-steps')?.dataset.state === 'shown'", polling=100)
        rounds = [_dragged(page) for _ in range(ROUNDS)]
    said = f"Inside, steps, {tokens} tokens"
    yield Figure(
        f"{said}: redraws of the scrubber", median(one["rate"] for one in rounds), "a second", RATE, at_most=False
    )
    yield Figure(f"{said}: the page's thread for a redraw", median(one["thread"] for one in rounds), "ms", 1000 / RATE)
    yield Figure(f"(for reference) {said}: scripts of a redraw", median(one["scripts"] for one in rounds), "ms")


def _dragged(page: Page) -> dict[str, float]:
    """Count frames a second, and milliseconds of the processor for a redraw: of the whole thread and of its scripts."""
    browser = page.context.browser
    assert browser is not None
    browser.start_tracing(page=page, categories=["devtools.timeline", "toplevel"])
    told = page.evaluate(DRAG, FRAMES)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    assert told["drawn"] >= FRAMES - 1, "some steps were not drawn"
    thread = _busiest(events)
    taken = {"thread": _milliseconds(thread, TURN) / FRAMES, "scripts": _milliseconds(thread, SCRIPTS) / FRAMES}
    return {"rate": told["rate"], **taken}


def _busiest(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pick the events of the page's main thread: the one that ran the most scripts."""
    threads: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for event in events:
        if event.get("ph") == "X":
            threads.setdefault((event["pid"], event["tid"]), []).append(event)
    return max(threads.values(), key=lambda those: _milliseconds(those, SCRIPTS))


def _milliseconds(events: list[dict[str, Any]], name: str) -> float:
    return sum(event.get("tdur", 0) for event in events if event["name"] == name) / 1000
