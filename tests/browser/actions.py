"""What the tests do with a page, and read from it, in the words of a visitor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Route


def finish(page: Page) -> None:
    """Wait for the verdict and the exports."""
    page.wait_for_selector(".kv-strip[data-state=finished]")
    page.wait_for_selector("#kv-json:visible")


def race(page: Page) -> None:
    page.click("#kv-race")
    finish(page)


def wait_until(page: Page, true: str, arg: Any = None) -> None:
    """Wait until a script of the page gives something true.

    By itself Playwright asks in a loop of frames, which the page takes away (frontend/shell/idle.js).
    """
    page.wait_for_function(true, arg=arg, polling=100)


def wait_for_tokens(page: Page, n: int) -> None:
    """Wait until so many chips have been drawn, over all lanes."""
    wait_until(page, "n => document.querySelectorAll('.kv-chip').length >= n", arg=n)


def chips(page: Page) -> list[int]:
    """Chips in each lane."""
    counts: list[int] = page.eval_on_selector_all(
        ".kv-lane", "lanes => lanes.map(l => l.querySelectorAll('.kv-chip').length)"
    )
    return counts


def statuses(page: Page) -> list[str]:
    found: list[str] = page.eval_on_selector_all(".kv-lane", "lanes => lanes.map(l => l.dataset.status)")
    return found


def document(page: Page) -> dict[str, Any]:
    """The race document, as the JSON button gives it."""
    with page.expect_download() as download:
        page.click("#kv-json")
    return dict(json.loads(Path(download.value.path()).read_text("utf-8")))


def imported(page: Page, module: str, use: str, argument: Any = None) -> Any:
    """What `use`, a function `(module, argument) => value`, makes of one of the modules that the page runs on."""
    return page.evaluate(
        f"""async ([path, argument]) => {{
            const main = document.querySelector("script[type=module][src*='/frontend/']").src;
            return ({use})(await import(new URL(path, main)), argument);
        }}""",
        [module, argument],
    )


def metric(page: Page, lane: int, name: str) -> str:
    return page.locator(".kv-lane").nth(lane).locator(f"[data-metric={name}] dd").inner_text()


class HeldBack:
    """Holds the request of a button back on its way to the server, until it is let go. For requests of one button."""

    def __init__(self, page: Page, button: str) -> None:
        self._page = page
        self._held: list[Route] = []
        components = "id => window.gradio_config.components.find(one => one.props.elem_id === id).id"
        self._mark = f'"trigger_id":{page.evaluate(components, button)}'
        page.route("**/queue/join*", self._look)

    def _look(self, route: Route) -> None:
        if not self._held and self._mark in (route.request.post_data or ""):
            self._held.append(route)
        else:
            route.continue_()

    def wait(self) -> None:
        """Wait until there is one."""
        while not self._held:
            self._page.wait_for_timeout(20)

    def let_go(self) -> None:
        """Let it go on."""
        self._held[0].continue_()
