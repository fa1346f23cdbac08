"""A page that shows something still leaves the processor alone: a browser often runs where the decoding does."""

from __future__ import annotations

from playwright.sync_api import Browser, Page

from kvdemo.web.assets import FRONTEND, files
from tests.browser.conftest import Visit
from tests.browser.test_measure import LONG, over, start

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


def test_an_idle_page_requests_no_animation_frames(tiny_app: str, visit: Visit) -> None:
    for tab in ("race", "measure"):
        page = visit(tiny_app, tab=tab)
        assert page.evaluate(FRAMES_ASKED) == 0
        assert moving(page) == 0


def test_no_animation_runs_while_steps_are_timed(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, **LONG)
    page.evaluate(FRAMES_ASKED)
    start(page)
    page.wait_for_selector("tr[data-strategy=no_cache] td[data-figure=e2e]:has-text('s')")
    assert moving(page) == 0
    page.click("#kv-m-stop")
    over(page)


# A loop of somebody else's and one of the page's own, with as many requests in each frame: what is stopped as a loop.
LOOPS = """
  const frames = window.frames_run = { others: 0, ours: 0 };
  const theirLoop = () => { frames.others += 1; requestAnimationFrame(theirLoop); };
  const ourLoop = () => { frames.ours += 1; nextFrame(ourLoop); };
  requestAnimationFrame(theirLoop);
  nextFrame(ourLoop);
"""


def test_the_pages_own_animation_frames_are_never_cancelled(browser: Browser) -> None:
    """Cancelled, the stage's request would never come, and the stage would wait for it for ever."""
    idle = (FRONTEND / "shell" / "idle.js").read_text("utf-8")
    page = browser.new_page()
    page.set_content(f"<script type='module'>{idle}{LOOPS}</script>")
    page.wait_for_function("window.frames_run?.ours > 150", polling=100)  # by default it polls by frames
    assert page.evaluate("frames_run.others") < 100
    page.close()


def test_every_script_requests_its_frames_through_base() -> None:
    for path in files():
        if path.name != "idle.js":
            assert "requestAnimationFrame" not in (FRONTEND / path).read_text("utf-8"), path
