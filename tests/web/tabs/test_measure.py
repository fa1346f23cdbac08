"""Coming back to a measurement costs the server something only for as long as somebody waits for it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from kvdemo.core.visitor import Visitor
from kvdemo.web import run_streams
from kvdemo.web.tabs import measure
from tests.browser.scripted import scripted_page
from tests.programs import Program
from tests.web.loops import in_a_loop
from tests.web.measured import document
from tests.web.scripted_backend import ScriptedBackend

pytestmark = pytest.mark.slow  # each starts a server


class Store(ScriptedBackend):
    """Keeps one measurement, and counts how often it is looked for, and by how many at once."""

    def __init__(self, ends: str = "done", then: Callable[[], Any] = lambda: None) -> None:
        super().__init__()
        self.ends, self.then = ends, then
        self.looks, self.now, self.most = 0, 0, 0
        self.counting, self.piece = threading.Lock(), threading.Lock()
        self.in_piece, self.waiting, self.most_waiting = False, 0, 0

    @contextmanager
    def paced(self, visitor: Visitor) -> Iterator[bool]:  # noqa: ARG002
        with self.counting:
            self.waiting += 1
            self.most_waiting = max(self.most_waiting, self.waiting)
        with self.piece:
            self.in_piece = True
            yield True
            self.in_piece = False
        with self.counting:
            self.waiting -= 1

    def measured(self, run_id: str) -> dict[str, Any] | None:  # noqa: ARG002
        with self.counting:
            self.looks += 1
            self.now += 1
            self.most = max(self.most, self.now)
        self.then()
        with self.counting:
            self.now -= 1
        return document(2, self.ends)


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_streams, "BEGIN_SECONDS", 0.2)
    monkeypatch.setattr(run_streams, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(measure, "POLL_SECONDS", 0.02)


async def reopened(url: str, *sessions: str, heard: bool = True) -> list[Any]:
    async with httpx.AsyncClient(timeout=60) as client:

        async def reopen(session: str) -> Any:
            program = Program(client, url, session)
            (await program.use("kv-measure", "reopen")).raise_for_status()
            return await program.over() if heard else None

        said = await asyncio.gather(*map(reopen, sessions))
        if not heard:  # until all of them are over: this one is put into the queue behind them
            await asyncio.sleep(1)
        return said


def test_a_measurement_is_not_looked_for_while_nobody_listens() -> None:
    store = Store()
    with scripted_page(store) as url:
        in_a_loop(reopened(url, "a", "b", heard=False))
    assert store.looks == 0


def test_a_kept_measurement_comes_to_whoever_listens_with_its_files() -> None:
    with scripted_page(Store()) as url:
        (over,) = in_a_loop(reopened(url, "page"))
    state, *files = over["output"]["data"]
    assert state["phase"] == "kept"
    assert len(state["document"]["lanes"][0]["runs"]) == 2
    assert all(file["visible"] for file in files)


def test_a_run_id_of_megabytes_is_not_looked_for_and_not_sent_back() -> None:
    async def asked(url: str, run_id: object) -> Any:
        async with httpx.AsyncClient(timeout=60) as client:
            program = Program(client, url, "page")
            (await program.use("kv-measure", "reopen", {"kv-m-preset": run_id})).raise_for_status()
            return await program.over()

    with scripted_page(Store()) as url:
        for run_id in ("a" * 3_900_000, {"a": "\U0001f600" * 900_000}, ["a"] * 1000, None):
            over = in_a_loop(asked(url, run_id))
            assert len(json.dumps(over)) < 100_000


def test_measurements_are_prepared_one_at_a_time_and_with_rests_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read, drawn and written to files in one piece: all of it takes from the steps that somebody times."""
    store = Store(then=lambda: threading.Event().wait(0.05))
    written: list[bool] = []
    really = measure.downloads.offer

    def offer(*given: Any) -> Any:
        written.append(store.in_piece)
        return really(*given)

    monkeypatch.setattr(measure.downloads, "offer", offer)
    with scripted_page(store) as url:
        in_a_loop(reopened(url, *"abcdefgh"))
    assert (store.looks, store.most, written) == (8, 1, [True] * 8)


def test_one_address_has_one_measurement_waiting_to_be_prepared() -> None:
    """So another's waits behind one piece of work and not behind hundreds."""
    store = Store()
    with scripted_page(store) as url:
        in_a_loop(reopened(url, *"abcdefgh"))
    assert store.most_waiting == 1


def test_a_running_measurement_is_followed_only_while_somebody_listens() -> None:
    store = Store("running")

    async def follow_and_leave(url: str) -> None:
        following = asyncio.create_task(reopened(url, "page"))
        while store.looks < 3:
            await asyncio.sleep(0.01)
        following.cancel()
        await asyncio.wait({following})
        before = -1
        while store.looks > before:  # it goes on for a moment
            before = store.looks
            await asyncio.sleep(0.5)

    with scripted_page(store) as url:
        in_a_loop(follow_and_leave(url))
