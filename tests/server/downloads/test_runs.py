"""A model that a visitor names is downloaded while others race, within the server's limits, for as long as he waits."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.events import Finished, Progress, RaceEvent
from kvdemo.core.system import public_server
from kvdemo.models.names import offered
from kvdemo.models.sources.hub import hub_cache
from kvdemo.server.downloads import process
from kvdemo.server.limits import Limits
from kvdemo.server.service import Service
from tests.server.downloads.conftest import PADDING_BYTES, World

pytestmark = pytest.mark.slow  # each download is a process that imports transformers

FORM: dict[str, Any] = {
    "prompt": "The fox",
    "max_new_tokens": 2,
    "strategies": "no_cache",
    "ignore_eos": True,
    "chat": False,
}
A = FORM | {"model": "someone/a"}


@pytest.fixture
def service(tiny_folder: Path) -> Service:
    return Service(str(tiny_folder), device="cpu")


def wait_until(true: Callable[[], bool], patience: float = 60) -> None:
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def finishes(service: Service, form: dict[str, Any], run_id: str) -> bool:
    return isinstance([event for batch in service.race(form, run_id) for event in batch][-1], Finished)


class Visitor:
    """Races on a thread; `events` grow, `error` is what it is told in the end."""

    def __init__(self, service: Service, form: dict[str, Any], run_id: str) -> None:
        self.events: list[RaceEvent] = []
        self.error = ""
        self._batches = service.race(form, run_id)
        self.thread = threading.Thread(target=self._race)
        self.thread.start()

    def _race(self) -> None:
        try:
            for batch in self._batches:
                self.events.extend(batch)
        except BadInput as refused:
            self.error = str(refused)

    @property
    def fractions(self) -> list[float]:
        return [event.fraction for event in self.events if isinstance(event, Progress) and event.fraction is not None]

    def is_half_way(self) -> bool:
        return any(0 < fraction < 1 for fraction in self.fractions)


def test_other_races_run_while_a_download_reports_its_progress(world: World, service: Service) -> None:
    world.hold()
    visitor = Visitor(service, A, "a")
    wait_until(visitor.is_half_way)
    assert finishes(service, FORM, "other")
    assert visitor.thread.is_alive()
    world.held.set()
    visitor.thread.join()
    assert isinstance(visitor.events[-1], Finished)
    assert visitor.events[-1].document["model"]["id"] == "someone/a"
    assert any("Downloading someone/a from the Hub: " in getattr(event, "text", "") for event in visitor.events)
    assert (world.kept(world.visitors), world.kept(world.own)) == ({"someone/a"}, set())


def test_a_race_that_other_machines_compute_downloads_no_weights(
    world: World, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KVDEMO_REMOTE_URL", "http://127.0.0.1:9/v1")  # nobody answers there: its lane says so
    monkeypatch.setenv("KVDEMO_REMOTE_MODEL", "someone/a")
    events = [event for batch in service.race(A | {"strategies": "remote"}, "remote") for event in batch]
    assert isinstance(events[-1], Finished)
    assert events[-1].document["model"]["id"] == "someone/a"
    assert not [address for address in world.hub.fetched if "safetensors" in address and "index" not in address]
    assert finishes(service, A, "here")
    assert [address for address in world.hub.fetched if address.endswith("model.safetensors")]


@pytest.mark.parametrize("way", ["leaves", "stops"])
def test_a_download_is_cancelled_when_its_last_waiter_leaves(world: World, service: Service, way: str) -> None:
    world.hold()
    with closing(service.race(A, "a")) as batches:
        for batch in batches:
            if any(isinstance(event, Progress) and event.fraction for event in batch):
                if way == "leaves":
                    break
                service.stop("a")
    wait_until(lambda: not world.kept(world.visitors), patience=20)
    assert not world.held.is_set()
    world.held.set()
    assert finishes(service, A, "again")


def test_two_requests_for_a_model_share_a_download_and_one_may_leave(world: World, service: Service) -> None:
    world.hold()
    first, second = Visitor(service, A, "first"), Visitor(service, A, "second")
    wait_until(lambda: first.is_half_way() and second.is_half_way())
    service.stop("first")
    first.thread.join()
    world.held.set()
    second.thread.join()
    assert isinstance(second.events[-1], Finished)
    assert len([path for path in world.hub.fetched if path.endswith("padding.txt")]) == 1


def test_a_model_that_is_too_large_is_refused_with_both_sizes_before_it_is_downloaded(
    world: World, service: Service
) -> None:
    world.hub.sizes["padding.txt"] = 100_000_000_000
    with pytest.raises(BadInput, match="someone/a has 100,000 MB, .* at most 15,000 MB: choose a smaller one"):
        list(service.race(A, "a"))
    assert not [path for path in world.hub.asked if "/resolve/" in path]
    assert not world.kept(world.visitors)


def test_a_file_without_a_size_is_refused(world: World, service: Service) -> None:
    world.hub.sizes["padding.txt"] = None
    with pytest.raises(BadInput, match="gives no size for padding.txt of someone/a"):
        list(service.race(A, "a"))


def test_the_operators_model_is_downloaded_once_while_others_race(
    world: World, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(public_server.VARIABLE, "0")
    monkeypatch.delenv(offered.VARIABLE)
    world.hold()
    service = Service("someone/a", device="cpu")
    start = threading.Thread(target=service.preload)
    start.start()
    wait_until(lambda: 0 < (service.status()["fraction"] or 0) < 1)
    visitor = Visitor(service, FORM, "waits")
    wait_until(visitor.is_half_way)
    assert finishes(service, FORM | {"model": str(tiny_folder)}, "other")
    world.held.set()
    for thread in (start, visitor.thread):
        thread.join()
    assert isinstance(visitor.events[-1], Finished)
    assert len([path for path in world.hub.fetched if path.endswith("padding.txt")]) == 1


def test_a_classic_measurement_falls_back_to_the_default_model_when_the_hub_fails(
    world: World, service: Service
) -> None:
    world.hub.refuse["/api/"] = (500, None, None)
    form = {"preset": "classic", "model": "someone/a", "prompt": "The fox", "max_new_tokens": 2, "repeats": 1}
    document = list(service.measure(form, "classic"))[-1]["document"]
    assert any("someone/a could not be had" in note and "fails with status 500" in note for note in document["notes"])


def test_a_stalled_download_is_given_up_and_the_next_request_works(
    world: World, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SILENCE_SECONDS", 1.0)
    world.hold()
    with pytest.raises(BadInput, match="Nothing of someone/a has come from the Hugging Face Hub for 1 s: try again"):
        list(service.race(A, "a"))
    assert not world.kept(world.visitors)
    assert finishes(service, FORM, "other")
    world.held.set()
    assert finishes(service, A, "again")


def test_a_hub_that_never_answers_blocks_no_other_race(world: World, service: Service) -> None:
    silent = threading.Event()
    world.hub.hold["/api/"] = silent
    visitor = Visitor(service, A, "a")
    wait_until(lambda: any("Asking" in getattr(event, "text", "") for event in visitor.events))
    assert finishes(service, FORM, "other")
    visitor.thread.join()
    silent.set()
    assert "does not answer" in visitor.error


def test_a_hub_that_hangs_at_the_servers_start_blocks_no_race(
    world: World, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(public_server.VARIABLE, "0")
    monkeypatch.delenv(offered.VARIABLE)
    world.hub.hold["/api/"] = threading.Event()
    service = Service("someone/a", device="cpu")
    start = threading.Thread(target=service.preload)
    start.start()
    wait_until(lambda: "Asking" in service.status()["text"])
    assert finishes(service, FORM | {"model": str(tiny_folder)}, "other")
    start.join()
    world.hub.hold["/api/"].set()
    assert service.health()["ok"]
    with pytest.raises(BadInput, match="does not answer"):
        world.hub.hold["/api/"] = threading.Event()
        list(service.race(FORM, "the operator's"))
    world.hub.hold["/api/"].set()


def test_a_download_that_takes_too_long_is_given_up(world: World, tiny_folder: Path) -> None:
    world.hold()
    service = Service(str(tiny_folder), device="cpu", limits=Limits(download_seconds=1))
    with pytest.raises(BadInput, match="someone/a was not downloaded within 1 s: choose a smaller model"):
        list(service.race(A, "a"))


def test_a_broken_connection_is_one_sentence_and_leaves_no_files(world: World, service: Service) -> None:
    world.hub.broken.append("model.safetensors")
    with pytest.raises(BadInput, match="someone/a"):
        list(service.race(A, "a"))
    assert not world.kept(world.visitors)
    world.hub.broken.clear()
    assert finishes(service, A, "again")


def test_a_full_disk_is_one_sentence_and_leaves_no_files(world: World, service: Service) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (PADDING_BYTES // 2, hard))  # as on a full disk, no more can be written
    try:
        with pytest.raises(
            BadInput, match="The model cannot be stored in .*, or set KVDEMO_CACHE_DIR to another folder"
        ):
            list(service.race(A, "a"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not world.kept(world.visitors)
    assert finishes(service, FORM, "other")
    assert finishes(service, A, "again")


def test_a_truncated_message_of_the_download_process_is_one_sentence(
    world: World, service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (program := tmp_path / "killed-while-it-wrote").write_text('#!/bin/sh\necho \'{"text": "Down\'\n')
    program.chmod(0o755)
    monkeypatch.setattr(process.sys, "executable", str(program))
    with pytest.raises(BadInput, match="The download of someone/a ended by itself: try again"):
        list(service.race(A, "a"))
    assert not world.kept(world.visitors)
    assert finishes(service, FORM, "other")


def test_the_least_recently_used_model_is_removed_and_the_users_own_cache_is_kept(
    world: World, tiny_folder: Path, padded: Path
) -> None:
    service = Service(str(tiny_folder), device="cpu", limits=Limits(kept_bytes=int(2.5 * world.bytes)))
    for name in ("a", "b", "a", "c"):  # a is used again
        assert finishes(service, FORM | {"model": f"someone/{name}"}, name)
    assert world.kept(world.visitors) == {"someone/a", "someone/c"}
    assert padded.exists()
    shutil.move(world.visitors / "models--someone--c", world.own / "models--someone--c")
    assert finishes(service, FORM | {"model": "someone/c"}, "from its owner's cache")
    assert finishes(service, FORM | {"model": "someone/b"}, "b")
    assert world.kept(world.own) == {"someone/c"}


def test_a_private_server_downloads_to_the_hub_cache_and_stop_cancels_it(
    world: World, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(public_server.VARIABLE, "0")
    world.hold()
    visitor = Visitor(service, A, "a")
    wait_until(visitor.is_half_way)
    service.stop("a")
    visitor.thread.join()
    assert not hub_cache.partial_files("someone/a", world.own)
    world.held.set()
    assert finishes(service, A, "again")
    assert (world.kept(world.own), world.visitors.exists()) == ({"someone/a"}, False)
