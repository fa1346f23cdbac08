"""Measure what a race costs on its way to the screen: bytes, delay, redraws, and the browser's time.

The limits: a token's line is about 40 bytes, and Gradio's envelope about 300 a message, so bytes a token depend on
how many tokens share a message. Ten messages a second leave a token waiting 50 ms on average and 100 ms at most;
the rest of the delay is the browser's. A browser that is busy draws late.

A real Chromium opens the real page and reports when each chip was on the screen; the server, in this process,
notes when each token was committed; both read the same clock. The browser shares the machine with the decoding
here, which is harder on both than a visitor's own computer.
"""

from __future__ import annotations

import dataclasses
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from playwright.sync_api import CDPSession, Page

from benchmarks.figure import Figure
from benchmarks.tools.browser import POLLING_MS, browser_page, until
from kvdemo.core.events import RaceEvent, TokensCommitted
from kvdemo.core.figures.metrics import percentile
from kvdemo.server.run_events.race_feed import RaceFeed

# In the page: when the frame after a chip's insertion began, for each lane in order, in Unix milliseconds.
WATCH = """
window.shown = [];
new MutationObserver((records) => requestAnimationFrame((now) => {
  const at = performance.timeOrigin + now;
  for (const record of records) for (const node of record.addedNodes) {
    if (!node.classList?.contains('kv-chip')) continue;
    const lane = [...document.querySelectorAll('.kv-lane')].indexOf(record.target.closest('.kv-lane'));
    (window.shown[lane] ??= []).push(at);
  }
})).observe(document.body, { childList: true, subtree: true });
"""


@contextmanager
def commit_times() -> Iterator[dict[int, list[float]]]:
    """Note when each lane's tokens are committed, in Unix milliseconds, for the races that run meanwhile."""
    committed: dict[int, list[float]] = defaultdict(list)
    send = RaceFeed.__call__

    def noting(feed: RaceFeed, event: RaceEvent) -> None:
        if isinstance(event, TokensCommitted):
            committed[event.lane] += [time.time() * 1e3] * len(event.texts)
        send(feed, event)

    with mock.patch.object(RaceFeed, "__call__", noting):
        yield committed


@dataclasses.dataclass
class Seen:
    """One race as the browser saw it."""

    seconds: float
    bytes_received: int
    busy_share: float
    shown: list[list[float]]


def race(page: Page, tokens: int) -> Seen:
    """Open the link of a race that starts by itself, and watch it to its end."""
    devtools = page.context.new_cdp_session(page)
    received = 0

    def count(event: dict[str, Any]) -> None:
        nonlocal received
        received += max(event["encodedDataLength"], event["dataLength"])  # the first may be 0 while a stream is open

    devtools.send("Network.enable")
    devtools.send("Performance.enable")
    page.evaluate(WATCH)
    devtools.on("Network.dataReceived", count)
    busy, start = task_seconds(devtools), time.perf_counter()
    page.click("#kv-race")
    page.wait_for_function(
        "n => window.shown.length === 2 && window.shown.every((lane) => lane.length === n)",
        arg=tokens, timeout=600_000, polling=POLLING_MS,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    busy = task_seconds(devtools) - busy
    page.wait_for_timeout(500)  # the end of the event stream
    return Seen(seconds, received, busy / seconds, page.evaluate("window.shown"))


def task_seconds(devtools: CDPSession) -> float:
    """Return the seconds that the page's main thread has been at work."""
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    return next(float(metric["value"]) for metric in metrics if metric["name"] == "TaskDuration")


def run(url: str, tokens: int, what: str, *, judged: bool) -> Iterator[Figure]:
    """Run a race of two lanes of `tokens` tokens; `judged` holds it to the targets."""
    query = f"?prompt=What+is+KV+caching%3F&tokens={tokens}&lanes=no_cache,dynamic_cache&ignore_eos=1&chat=0"
    with browser_page(url + query) as page, commit_times() as committed:
        page.wait_for_function(
            "n => document.querySelector('#kv-tokens input').value == n", arg=tokens, polling=POLLING_MS
        )
        with until(page, ".kv-stage", "finished"):
            page.click("#kv-race")  # the first race of a page fetches what draws it
        seen = race(page, tokens)
    delays = [
        shown - at
        for lane, times in enumerate(seen.shown)
        for shown, at in zip(times, committed[lane][-tokens:], strict=True)
    ]
    frames = {at for lane in seen.shown for at in lane}
    drawing = (max(frames) - min(frames)) / 1e3

    def target(bound: float) -> float | None:
        return bound if judged else None

    yield Figure(f"{what}: bytes a token a lane", seen.bytes_received / tokens / 2, "bytes", target(120))
    yield Figure(f"{what}: commit to screen, p95", percentile(delays, 95), "ms", target(250))
    yield Figure(f"{what}: updates a second", len(frames) / drawing, "1/s", target(8), at_most=False)
    yield Figure(f"{what}: browser's main thread busy", seen.busy_share, "share", target(0.4))
