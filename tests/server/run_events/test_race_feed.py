"""When a race rests for the page that draws it, and for whom."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kvdemo.core.events import Ended, Finished, Progress, RaceEvent, Started, TokensCommitted, Verdict
from kvdemo.core.system import public_server
from kvdemo.core.types import Choice, Step, TimedStep
from kvdemo.core.visitor import Visitor
from kvdemo.server.run_events import race_feed
from kvdemo.server.run_events.batches import INTERVAL_SECONDS
from kvdemo.server.run_events.race_feed import DRAWING_SECONDS, LAYING_SECONDS, RaceFeed
from kvdemo.server.service import Service
from tests.server.rests import noted_rests

pytestmark = pytest.mark.usefixtures("quick_limits")

STARTED = Started((), "", 1, 1, "fair", {})
TOKEN = TokensCommitted(0, TimedStep(Step((Choice(1, -0.5, 2, -1.0),), 1), 0.01), ("a",))
FINISHED = Finished({"schema": 1}, Verdict(()))


class Reader:
    """Stands for the page's end: what it was sent, and how long the race rested after it; None: it went on."""

    interval = INTERVAL_SECONDS
    flushed = False

    def __init__(self) -> None:
        self.got: list[tuple[RaceEvent, float | None]] = []

    def __call__(self, event: RaceEvent) -> None:
        self.got.append((event, None))

    def send_and_rest(self, event: RaceEvent, seconds: float) -> None:
        self.got.append((event, seconds))

    def flush(self) -> None:
        self.flushed = True

    @property
    def rests(self) -> list[float | None]:
        return [seconds for _, seconds in self.got]


def at(*seconds: float) -> Callable[[], float]:
    """A clock that is read at these times: an event that may be rested after reads it, and a rest once more."""
    times = iter(seconds)
    return lambda: next(times)


def test_a_race_rests_while_its_stage_is_laid_and_then_now_and_then() -> None:
    reader = Reader()
    feed = RaceFeed(reader, rests=True, clock=at(0, 0.05, 0.1, 0.2, 0.25, 0.3))  # type: ignore[arg-type]
    feed(STARTED)
    for _ in range(4):
        feed(TOKEN)
    assert reader.rests == [LAYING_SECONDS, None, None, DRAWING_SECONDS, None]


def test_a_lane_that_ends_is_drawn_like_its_tokens() -> None:
    reader = Reader()
    feed = RaceFeed(reader, rests=True, clock=at(0, 1, 1))  # type: ignore[arg-type]
    feed(STARTED)
    feed(Ended(0, "length"))
    assert reader.rests == [LAYING_SECONDS, DRAWING_SECONDS]


def test_what_is_done_before_the_race_is_told_at_once_and_without_a_rest() -> None:
    reader = Reader()
    RaceFeed(reader, rests=True)(Progress("Warming up"))  # type: ignore[arg-type]
    assert reader.rests == [0]


def test_steps_of_another_machine_are_read_at_once() -> None:
    reader = Reader()
    feed = RaceFeed(reader, rests=True, clock=at(0, 5))  # type: ignore[arg-type]
    feed(STARTED)
    assert reader.interval > INTERVAL_SECONDS
    feed.leave()
    feed(TOKEN)
    assert reader.rests == [LAYING_SECONDS, None]
    assert reader.interval == INTERVAL_SECONDS
    assert reader.flushed


@pytest.mark.parametrize(
    ("rests", "told"), [(True, {"count": 2, "seconds": LAYING_SECONDS + DRAWING_SECONDS}), (False, None)]
)
def test_the_document_tells_of_the_rests(rests: bool, told: dict[str, float] | None) -> None:
    reader = Reader()
    feed = RaceFeed(reader, rests=rests, clock=at(0, 1, 1))  # type: ignore[arg-type]
    for event in (STARTED, TOKEN, FINISHED):
        feed(event)
    finished = reader.got[-1][0]
    assert isinstance(finished, Finished)
    assert finished.document.get("rests") == told
    assert "rests" not in FINISHED.document


@pytest.fixture(scope="module")
def service(tiny_folder: Path) -> Service:
    made = Service(str(tiny_folder), device="cpu")
    made.preload()
    return made


PAGE, FAR, PROGRAM = Visitor("a page", keeps=True), Visitor("a page", "192.0.2.7", keeps=True), Visitor("a program")


@pytest.mark.parametrize(
    ("visitor", "schedule", "all_cores", "public", "rests"),
    [
        (PAGE, "fair", True, False, True),
        (FAR, "fair", True, False, False),  # its browser takes nothing of this machine
        (PAGE, "fair", True, True, False),  # a proxy on this machine may stand for it
        (PROGRAM, "fair", True, False, False),
        (PAGE, "simultaneous", True, False, False),  # the other lanes would not rest
        (PAGE, "fair", False, False, False),  # the browser has a core of its own
    ],
)
def test_a_race_rests_only_for_a_page_of_the_same_machine_that_takes_its_cores(
    service: Service, monkeypatch: pytest.MonkeyPatch, visitor: Visitor, schedule: str,
    all_cores: bool, public: bool, rests: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(race_feed, "takes_all_cores", lambda: all_cores)
    monkeypatch.setattr(public_server, "is_public", lambda: public)
    rested = noted_rests(monkeypatch)
    form = {"prompt": "The fox", "chat": False, "max_new_tokens": 4, "ignore_eos": True, "schedule": schedule}
    events = [event for batch in service.race(form, "r", visitor) for event in batch]
    assert sum(isinstance(event, TokensCommitted) for event in events) == 8
    assert (LAYING_SECONDS in [seconds for _, seconds in rested]) is rests


def test_cores_are_free_where_torch_has_fewer_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert race_feed.takes_all_cores()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert not race_feed.takes_all_cores()
