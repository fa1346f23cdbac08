"""When a race rests for the page that draws it, and for whom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kvdemo.core.events import Ended, Progress, RaceEvent, Started, TokensCommitted
from kvdemo.core.types import Choice, Step, TimedStep
from kvdemo.core.visitor import Visitor
from kvdemo.server.run_events.batches import INTERVAL_SECONDS, EventChannel
from kvdemo.server.run_events.race_feed import DRAWING_SECONDS, LAYING_SECONDS, RaceFeed
from kvdemo.server.service import Service

pytestmark = pytest.mark.usefixtures("quick_limits")

STARTED = Started((), "", 1, 1, "fair", {})
TOKEN = TokensCommitted(0, TimedStep(Step((Choice(1, -0.5, 2, -1.0),), 1), 0.01), ("a",))


class Reader:
    """Stands for the page's end: what it was sent, and how long the race rested after it; None: it went on."""

    interval = INTERVAL_SECONDS

    def __init__(self) -> None:
        self.got: list[tuple[RaceEvent, float | None]] = []

    def __call__(self, event: RaceEvent) -> None:
        self.got.append((event, None))

    def send_and_rest(self, event: RaceEvent, seconds: float) -> None:
        self.got.append((event, seconds))

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


def test_a_race_that_another_machine_computes_does_not_rest() -> None:
    reader = Reader()
    feed = RaceFeed(reader, rests=True, clock=at(0, 5))  # type: ignore[arg-type]
    feed(STARTED)
    assert reader.interval > INTERVAL_SECONDS
    feed.leave()
    feed(TOKEN)
    assert reader.rests == [LAYING_SECONDS, None]
    assert reader.interval == INTERVAL_SECONDS


@pytest.fixture(scope="module")
def service(tiny_folder: Path) -> Service:
    made = Service(str(tiny_folder), device="cpu")
    made.preload()
    return made


@pytest.mark.parametrize(
    ("visitor", "schedule", "rests"),
    [
        (Visitor("a page", keeps=True), "fair", True),
        (Visitor("a page", "192.0.2.7", keeps=True), "fair", False),  # its browser takes nothing of this machine
        (Visitor("a program"), "fair", False),
        (Visitor("a page", keeps=True), "simultaneous", False),  # the other lanes would not rest
    ],
)
def test_a_race_rests_only_for_a_page_of_the_same_machine(
    service: Service, monkeypatch: pytest.MonkeyPatch, visitor: Visitor, schedule: str, rests: bool
) -> None:
    rested: list[float] = []
    send = EventChannel.send_and_rest

    def noting(channel: EventChannel[Any], item: Any, seconds: float) -> None:
        rested.append(seconds)
        send(channel, item, seconds)

    monkeypatch.setattr(EventChannel, "send_and_rest", noting)
    form = {"prompt": "The fox", "chat": False, "max_new_tokens": 4, "ignore_eos": True, "schedule": schedule}
    events = [event for batch in service.race(form, "r", visitor) for event in batch]
    assert sum(isinstance(event, TokensCommitted) for event in events) == 8
    assert (LAYING_SECONDS in rested) is rests
