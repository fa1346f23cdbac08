"""Time a step in the app with the engine in a process of its own, and on a thread of the page's, against a bare loop.

The limit of both is 1 where a core is free for the page. Where decoding uses all cores, what the page and its reader
take of them is missing to it while it decodes, and that limit is printed. A race that rests while a page draws
(`kvdemo/server/run_events/race_feed.py`) is below it. What is above it is what the page's work disturbs: in one process
it shares the interpreter and its lock, in two only the cores. For comparison a loop is timed that does not rest, beside
a page that only adds a word ten times a second.

All decode the same text in turn, in random order, in blocks of half a second, each in a process of its own.
Pairs are steps at the same position of the text. The click is a request over HTTP that reads the event stream line by
line, or a page of Chromium on the same cores. Gradio's own client in Python would take 10 ms of a core for each
message, ten times a second; a visitor's client runs on the visitor's machine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from urllib.parse import quote

import httpx
import psutil
from playwright.sync_api import Page

from benchmarks.figure import Figure
from benchmarks.tools import lockstep
from benchmarks.tools.browser import browser_page, until
from benchmarks.tools.stepper import Process
from tests.serving import served

PROMPT, PROMPT_TOKENS, TOKENS, ROUNDS = "What is KV caching?", 6, 24, 24
PATIENCE = 60.0
SETTINGS = {"process": {"KVDEMO_ENGINE": "process"}, "thread": {"KVDEMO_ENGINE": "thread"}}
LABELS = {
    "process": "a step with the engine in a process",
    "thread": "(for reference) a step with the engine in a thread",
    "least": "(for reference) a step of the bare loop beside a page that only adds words",
}
TARGETS = {"a client that reads the stream": 1.005, "a page of Chromium": 1.02}
#: The modules of processes that decode; the page's process does too where the engine is a thread, in its own blocks.
DECODING = {"kvdemo.server.engine_process", "benchmarks.tools.stepper"}
_FORM = {"prompt": PROMPT, "max_new_tokens": TOKENS, "chat": False, "ignore_eos": True, "strategies": ["dynamic_cache"]}

#: A page that adds a word ten times a second while `adding`.
LEAST = """<p style="width: 30em; height: 20em; overflow: auto"></p><script>
  const text = document.querySelector("p");
  setInterval(() => {
    if (!window.adding) return;
    const word = document.createElement("span");
    word.textContent = " word";
    text.append(word);
    text.scrollTop = text.scrollHeight;
  }, 100);
</script>"""

Steps = Callable[[], list[float]]


def clicked(url: str) -> list[float]:
    """Race over HTTP and read all that comes of it; the seconds of each step, by the document, which comes last."""
    event = httpx.post(f"{url}gradio_api/call/v2/race", json=_FORM, timeout=PATIENCE).raise_for_status().json()
    last = ""
    with httpx.stream("GET", f"{url}gradio_api/call/race/{event['event_id']}", timeout=PATIENCE) as stream:
        for line in stream.iter_lines():
            last = line or last
    (document,) = json.loads(last.removeprefix("data: "))
    return [step["seconds"] for step in document["lanes"][0]["steps"]]


def pressed(page: Page) -> list[float]:
    """Press Race in the page and wait for the verdict; the seconds of each step, by the document it offers."""
    with until(page, ".kv-stage", "finished"):
        page.click("#kv-race")
    page.wait_for_selector("#kv-json:visible")
    with page.expect_download() as download:
        page.click("#kv-json")
    return [step["seconds"] for step in json.loads(download.value.path().read_text("utf-8"))["lanes"][0]["steps"]]


def beside(page: Page, loop: Steps) -> list[float]:
    """Run a loop while a page adds words."""
    page.evaluate("window.adding = true")
    seconds = loop()
    page.evaluate("window.adding = false")
    return seconds


def compared(runs: dict[str, Steps], how: str) -> Iterator[Figure]:
    """Run all in turn, and divide each app's steps by the bare loop's."""
    for run in runs.values():
        run()  # the first of each pays for first uses
    left = {name: Cores(run) for name, run in runs.items()}
    taken = lockstep.take(
        {name: lockstep.block(run) for name, run in left.items()}, rounds=ROUNDS, positions=TOKENS - 1
    )
    for name in [name for name in LABELS if name in runs]:
        found = lockstep.ratio(taken[name], taken["bare"])
        target = TARGETS[how] if name == "process" else None
        yield Figure(f"{LABELS[name]}, {how} / bare loop", found.value, "×", target, interval=found.interval)
    limit = left["bare"].share / left["process"].share
    yield Figure(f"(for reference) the limit, {how}: what is left of the cores", limit, "×")


class Cores:
    """Runs blocks, and tells the share of the cores that all which does not decode left to the decoding in them."""

    def __init__(self, run: Steps) -> None:
        self._run = run
        self._spent = self._passed = 0.0

    def __call__(self) -> list[float]:
        spent, began = spent_beside(), time.perf_counter()
        seconds = self._run()
        self._passed += time.perf_counter() - began
        self._spent += spent_beside() - spent
        return seconds

    @property
    def share(self) -> float:
        return 1 - self._spent / self._passed / (psutil.cpu_count() or 1)


def spent_beside() -> float:
    """Processor seconds so far of this process and all below it, but for the loop's and the engine's."""
    spent = 0.0
    for process in [me := psutil.Process(), *me.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            if not DECODING.intersection(process.cmdline()):
                spent += sum(process.cpu_times()[:2])
    return spent


def run() -> Iterator[Figure]:
    """Serve both apps, and a bare loop beside them."""
    with ExitStack() as running:
        bare = running.enter_context(Process())
        urls = {name: running.enter_context(served(settings)) for name, settings in SETTINGS.items()}
        loops: dict[str, Steps] = {"bare": partial(bare.text, PROMPT_TOKENS, TOKENS)}
        clients = {name: partial(clicked, url) for name, url in urls.items()}
        yield from compared(loops | clients, "a client that reads the stream")
        query = f"?prompt={quote(PROMPT)}&tokens={TOKENS}&lanes=dynamic_cache&chat=0&ignore_eos=1"
        first, *others = (url + query for url in urls.values())
        pages = [running.enter_context(browser_page(first))]
        browser = pages[0].context.browser
        assert browser is not None
        for url in others:
            pages.append(browser.new_page(viewport={"width": 1440, "height": 900}))
            pages[-1].goto(url)
            pages[-1].wait_for_selector("#kv-race:enabled")
        least = browser.new_page(viewport={"width": 1440, "height": 900})
        least.set_content(LEAST)
        loops["least"] = partial(beside, least, loops["bare"])
        pressing = {name: partial(pressed, page) for name, page in zip(urls, pages, strict=True)}
        yield from compared(loops | pressing, "a page of Chromium")
