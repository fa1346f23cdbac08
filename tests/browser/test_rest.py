"""A page that shows something still leaves the processor alone: a browser often runs where the decoding does."""

from __future__ import annotations

from playwright.sync_api import Page

from .conftest import Visit
from .test_measure import LONG, over, start

# Requests for frames are numbered, so the next number tells how many were asked for. Looks until there were none.
FRAMES_ASKED = """async () => {
  const number = () => { const id = requestAnimationFrame(() => {}); cancelAnimationFrame(id); return id; };
  let asked = null;
  for (let look = 0; look < 20 && asked !== 0; look += 1) {
    const before = number();
    await new Promise((done) => setTimeout(done, 2000));
    asked = number() - before - 1;
  }
  return asked;
}"""


def moving(page: Page) -> int:
    """Animations that run."""
    return int(page.evaluate("() => document.getAnimations().filter((a) => a.playState === 'running').length"))


def test_a_page_at_rest_asks_for_no_frames(tiny_app: str, visit: Visit) -> None:
    for tab in ("race", "measure"):
        page = visit(tiny_app, tab=tab)
        assert page.evaluate(FRAMES_ASKED) == 0
        assert moving(page) == 0


def test_nothing_moves_while_steps_are_timed(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, **LONG)
    page.evaluate(FRAMES_ASKED)
    start(page)
    page.wait_for_selector("tr[data-strategy=no_cache] td[data-figure=e2e]:has-text('s')")
    assert moving(page) == 0
    page.click("#kv-m-stop")
    over(page)
