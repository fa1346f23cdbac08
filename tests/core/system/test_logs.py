"""What strangers cause does not fill the log, and all else is written."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from kvdemo.core.system import logs

SELDOM_S = 10.0


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A clock for the filter of a logger, which is taken off afterwards."""
    monkeypatch.setattr(logs, "SELDOM_S", SELDOM_S)
    at = [0.0]
    log, seldom = logging.getLogger("uvicorn.error"), logs.Seldom(lambda: at[0])
    log.addFilter(seldom)
    yield at
    log.removeFilter(seldom)


def test_the_same_line_comes_once_in_some_seconds_with_the_number_of_those_left_out(
    now: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    log = logging.getLogger("uvicorn.error")
    for number in range(1000):
        log.warning("Invalid request %d", number)
    log.warning("Another line")
    now[0] += SELDOM_S
    for number in range(10):
        log.warning("Invalid request %d", number)
    assert caplog.messages == [
        "Invalid request 0", "Another line", "Invalid request 0 (999 more of this kind before)",
    ]  # fmt: skip


def test_few_lines_are_known_at_a_time(now: list[float]) -> None:  # noqa: ARG001 - its filter
    (seldom,) = (one for one in logging.getLogger("uvicorn.error").filters if isinstance(one, logs.Seldom))
    for number in range(1000):
        logging.getLogger("uvicorn.error").warning(f"line {number}")
    assert len(seldom._known) == 100


def test_a_server_writes_seldom_what_strangers_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in logs.BY_STRANGERS:
        monkeypatch.setattr(logging.getLogger(name), "filters", [])
    logs.configure()
    for name in logs.BY_STRANGERS:
        assert any(isinstance(one, logs.Seldom) for one in logging.getLogger(name).filters)
