"""Downloads are shared, counted and cleared away; what a run needs stays on the disk."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.events import Progress
from kvdemo.models.sources import find
from kvdemo.models.sources.hub import hub_cache, visitors_quota, without_weights
from kvdemo.server.downloads.shared import Downloads
from kvdemo.server.limits import Limits
from tests.server.downloads.conftest import IDS, World
from tests.server.downloads.test_runs import wait_until

pytestmark = pytest.mark.slow


def fetch_all(downloads: Downloads, *hub_ids: str) -> None:
    with downloads.needed() as fetch:
        for hub_id in hub_ids:
            fetch(hub_id, lambda _: None, threading.Event(), limited=True)


def test_a_model_that_a_run_needs_is_not_removed_for_another(world: World) -> None:
    downloads = Downloads(Limits(kept_bytes=int(1.5 * world.bytes)), lambda: None)
    with pytest.raises(BadInput, match="someone/b has 24 MB, and of the 37 MB .* in use: try again later"):
        fetch_all(downloads, "someone/a", "someone/b")
    assert world.kept(world.visitors) == {"someone/a"}
    fetch_all(downloads, "someone/b")
    assert world.kept(world.visitors) == {"someone/b"}


def test_the_model_in_memory_is_not_removed_for_another(world: World) -> None:
    held: list[str] = []
    downloads = Downloads(Limits(kept_bytes=int(1.5 * world.bytes)), lambda: held[0] if held else None)
    fetch_all(downloads, "someone/a")
    held.append("someone/a")
    with pytest.raises(BadInput, match="in use"):
        fetch_all(downloads, "someone/b")
    assert world.kept(world.visitors) == {"someone/a"}


def test_a_race_without_weights_outlives_the_cancelled_download_of_its_model(world: World) -> None:
    """Who needs no weights waits for none, and loses nothing when they are given up."""
    world.hold("model.safetensors")
    downloads = Downloads(Limits(), lambda: None)
    told: list[Progress] = []
    stop = threading.Event()

    def whole() -> None:
        with downloads.needed() as fetch:
            fetch("someone/a", told.append, stop, limited=True)

    waiting = threading.Thread(target=whole)
    waiting.start()
    wait_until(lambda: any(progress.fraction for progress in told))
    with downloads.needed() as fetch:
        fetch("someone/a", lambda _: None, threading.Event(), limited=True, weights=False)
        stop.set()
        waiting.join()
        wait_until(lambda: not world.kept(world.visitors))
        assert find.is_here("someone/a", weights=False)
    assert not find.is_here("someone/a")


def test_tokenizers_that_came_longest_ago_make_room_unless_they_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KVDEMO_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(without_weights, "KEPT_BYTES", 1000)
    for age, hub_id in enumerate(reversed(IDS)):  # someone/c came first
        folder = hub_cache.repository_folder(hub_id, without_weights.cache())
        (folder / "blobs").mkdir(parents=True)
        (folder / "blobs" / "tokenizer").write_bytes(b"x" * 320)
        os.utime(folder, (age, age))
    without_weights.make_room("someone/d", 90, {"someone/c"})
    left = {folder.name for folder in without_weights.cache().iterdir() if folder.name.startswith("models--")}
    assert left == {"models--someone--a", "models--someone--c"}
    with pytest.raises(
        BadInput,
        match="someone/d has .* beside its weights, and this server keeps at most .* of one model: choose another",
    ):
        without_weights.make_room("someone/d", 101, ())


def test_a_waiting_request_is_told_when_no_disk_space_can_be_freed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(visitors_quota, "make_room", fail)
    with pytest.raises(BadInput, match=r"No room could be made for someone/a \(Read-only file system\)"):
        fetch_all(Downloads(Limits(), lambda: None), "someone/a")
    assert world.kept(world.visitors) == set()


def test_more_downloads_than_the_server_allows_wait_and_can_be_stopped(world: World) -> None:
    world.hold()
    downloads = Downloads(Limits(downloads=1), lambda: None)
    first = threading.Thread(target=fetch_all, args=(downloads, "someone/a"))
    first.start()
    wait_until(lambda: hub_cache.partial_files("someone/a", world.visitors) != set())
    told: list[Progress] = []
    stop = threading.Event()

    def tell(progress: Progress) -> None:
        told.append(progress)
        stop.set()

    with downloads.needed() as fetch:
        fetch("someone/b", tell, stop, limited=True)
    assert [progress.text for progress in told] == ["Waiting for another model's download to end"]
    world.held.set()
    first.join()
    assert world.kept(world.visitors) == {"someone/a"}


def test_partial_files_of_a_killed_server_are_removed_with_the_next_download(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = kill_a_server_that_downloads(world)
    wait_until(lambda: not is_alive(child))
    world.held.set()
    assert "someone/a" in world.kept(world.visitors)
    fetch_all(Downloads(Limits(), lambda: None), "someone/b")
    assert "someone/a" in world.kept(world.visitors)  # another server may be downloading it
    monkeypatch.setattr(visitors_quota, "LEFT_SECONDS", 0.0)
    fetch_all(Downloads(Limits(), lambda: None), "someone/c")
    assert world.kept(world.visitors) == {"someone/b", "someone/c"}


PROGRAM = """
import threading
from kvdemo.server.downloads.shared import Downloads
from kvdemo.server.limits import Limits
with Downloads(Limits(), lambda: None).needed() as fetch:
    fetch("someone/a", lambda _: None, threading.Event(), limited=True)
"""


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes() != b""  # empty for what has ended and is not waited for
    except OSError:
        return False


def kill_a_server_that_downloads(world: World) -> int:
    """Kill a server in the middle of a download; returns the process id of the download."""
    world.hold()
    server = subprocess.Popen([sys.executable, "-c", PROGRAM], env=os.environ | {"PYTHONPATH": str(Path.cwd())})
    wait_until(lambda: hub_cache.partial_files("someone/a", world.visitors) != set())
    children = Path(f"/proc/{server.pid}/task").glob("*/children")
    child = next(int(pid) for file in children for pid in file.read_text().split())
    server.kill()
    server.wait()
    return child
