"""Open a page of a headless Chromium, and wait for what it comes to without taking cores from what is measured.

Playwright looks for a selector in every frame, sixty times a second, and so makes a browser that has nothing to draw
draw. No visitor's browser does that.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

#: How often a wait looks whose end need not be known to the millisecond.
POLLING_MS = 250
PATIENCE_MS = 600_000
#: In the page: keeps a promise that an element comes to a phase which it is not in, or is in for another run.
PROMISE = """([selector, phase, patience]) => {
  const element = document.querySelector(selector);
  window.reached = new Promise((done, fail) => {
    new MutationObserver(([{ oldValue }], observer) => {
      if (element.dataset.phase !== phase || oldValue === phase) return;
      observer.disconnect();
      done();
    }).observe(element, { attributeFilter: ["data-phase"], attributeOldValue: true });
    setTimeout(() => fail(new Error(`${selector} is ${element.dataset.phase}, and not ${phase}`)), patience);
  });
}"""


@contextmanager
def browser_page(url: str, *, stands_back: bool = False) -> Iterator[Page]:
    """Open a page of a headless Chromium, the one on the PATH if there is one.

    One that stands back takes only what nobody else wants of the processor: the nearest to a browser on a machine of
    its own.
    """
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        program = shutil.which("chromium") or playwright.chromium.executable_path
        if stands_back:
            wrapper = Path(folder) / "chromium"
            wrapper.write_text(f'#!/bin/sh\nexec nice -n 19 "{program}" "$@"\n', encoding="utf-8")
            wrapper.chmod(0o700)
            program = str(wrapper)
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(url, wait_until="load")
        page.wait_for_selector("#kv-race:enabled", state="attached")  # the form holds what the link asks for
        yield page
        browser.close()


@contextmanager
def until(page: Page, selector: str, phase: str) -> Iterator[None]:
    """Do something that leads an element to a phase, and wait until it is there; raise an error if it never is."""
    page.evaluate(PROMISE, [selector, phase, PATIENCE_MS])
    yield
    page.evaluate("() => window.reached")
