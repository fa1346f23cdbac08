"""A page that shows something still leaves the processor alone: a browser often runs where the decoding does."""

from __future__ import annotations

import time
from collections.abc import Iterator

from playwright.sync_api import Browser, Page

from benchmarks.tools.browser import until
from kvdemo.core.events import Ended, Finished, RaceEvent
from kvdemo.web.assets import FRONTEND, files
from tests.browser.conftest import Serve, Visit
from tests.browser.test_measure import LONG, over, start
from tests.scripted import verdict
from tests.web.scripted_backend import MODEL, ScriptedBackend, committed, started

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


NUMBER = "() => { const id = requestAnimationFrame(() => {}); cancelAnimationFrame(id); return id; }"
ARRIVALS = 12


class SlowRace(list[list[RaceEvent]]):
    """Batches that come as those of a real race do."""

    def __iter__(self) -> Iterator[list[RaceEvent]]:
        for batch in super().__iter__():
            time.sleep(0.2)
            yield batch


def test_a_race_requests_one_animation_frame_for_what_arrives_together(visit: Visit, serve: Serve) -> None:
    texts = [committed(lane, (" a",), 0.1, cache_bytes=9 * lane) for lane in (0, 1)]
    end: list[RaceEvent] = [
        Ended(0, "length"),
        Ended(1, "length"),
        Finished({"schema": 1, "model": MODEL}, verdict("Won.")),
    ]
    race = SlowRace([[started(max_new_tokens=ARRIVALS)], *[list(texts) for _ in range(ARRIVALS)], end])
    page = visit(serve(ScriptedBackend(batches=race)))
    page.evaluate(FRAMES_ASKED)
    before = page.evaluate(NUMBER)
    with until(page, ".kv-stage", "finished"):
        page.click("#kv-race")
    assert page.evaluate(NUMBER) - before < 4 * ARRIVALS  # 60 a second would be some 150
