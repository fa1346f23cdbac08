"""Share downloads among the runs that need the same model, and end one that nobody waits for any more."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Protocol

from kvdemo.core.cancellation import CancelToken
from kvdemo.core.errors import BadInput
from kvdemo.core.events import Progress
from kvdemo.core.system import public_server
from kvdemo.models.sources import find
from kvdemo.models.sources.hub import hub_cache, in_use, visitors_quota, without_weights
from kvdemo.server.downloads.process import Download

if TYPE_CHECKING:
    from kvdemo.server.limits import Limits

#: How often who waits looks for progress, and whether it was stopped.
LOOK_SECONDS = 0.1
#: A model, and whether its weights are wanted. Its two downloads have a cache each, and nothing to do with each other.
Wanted = tuple[str, bool]


class Fetch(Protocol):
    """Returns when a model is on the disk, or `stop` is set. Raises BadInput.

    limited  it is for a visitor of a public server, in a cache of its own and within the server's limits
    best     the Hub is asked for it though a copy from elsewhere is here
    weights  False where its configuration and tokenizer are enough
    """

    def __call__(
        self, hub_id: str, tell: Callable[[Progress], None], stop: CancelToken,
        *, limited: bool, best: bool = False, weights: bool = True,
    ) -> None: ...  # fmt: skip


class Downloads:
    """The downloads that are under way, and the models that runs need on the disk.

    `held` tells the id of the model in memory, which needs no file.
    """

    def __init__(self, limits: Limits, held: Callable[[], str | None]) -> None:
        self._limits, self._held = limits, held
        self._guard = threading.Lock()
        self._running: dict[Wanted, Download] = {}
        self._sizes: dict[str, int] = {}
        self._waiting: Counter[Wanted] = Counter()
        self._needed: Counter[str] = Counter()
        self._uses = in_use.Uses()

    @contextmanager
    def needed(self) -> Iterator[Fetch]:
        """Yield a function that fetches a model. What it fetched stays on the disk until the block ends."""
        mine: list[str] = []

        def fetch(
            hub_id: str, tell: Callable[[Progress], None], stop: CancelToken,
            *, limited: bool, best: bool = False, weights: bool = True,
        ) -> None:  # fmt: skip
            with self._guard:
                mine.append(hub_id)
                self._needed[hub_id] += 1
                used = weights or hub_cache.whole(hub_id) is not None
                if used and public_server.is_public():  # only what its visitors have downloaded is ever removed
                    self._uses.begin(hub_id)
                if hub_id == self._held() or (not best and find.is_here(hub_id, weights=weights)):
                    return
            if best and find.is_best_here(hub_id):  # the Hub is asked: nobody waits for that
                return
            wanted = (hub_id, weights)
            if download := self._joined(wanted, tell, stop, limited=limited):
                self._wait(wanted, download, tell, stop)

        try:
            yield fetch
        finally:
            with self._guard:
                self._needed.subtract(mine)
                self._needed = +self._needed
                self._uses.keep({*self._needed, self._held() or ""})

    def _joined(
        self, wanted: Wanted, tell: Callable[[Progress], None], stop: CancelToken, *, limited: bool
    ) -> Download | None:
        """Wait for one download more, or for that of the same model. None if stopped before there is one."""
        told = False
        while True:
            with self._guard:
                self._running = {one: found for one, found in self._running.items() if not found.done.is_set()}
                if wanted not in self._running and len(self._running) < self._limits.downloads:
                    self._running[wanted] = self._begun(*wanted, limited=limited)
                if download := self._running.get(wanted):
                    self._waiting[wanted] += 1
                    return download
            if not told:
                tell(Progress("Waiting for another model's download to end"))
                told = True
            if stop.is_set():
                return None
            time.sleep(LOOK_SECONDS)

    def _begun(self, hub_id: str, weights: bool, *, limited: bool) -> Download:
        most = self._limits.model_bytes if limited else None
        make_room = partial(self._make_room if weights else self._make_room_for_tokenizer, hub_id)
        return Download(hub_id, most, make_room, self._uses, weights=weights)

    def _wait(self, wanted: Wanted, download: Download, tell: Callable[[Progress], None], stop: CancelToken) -> None:
        """Pass on how far a download is, until it is over or `stop` is set."""
        told: Progress | None = None
        try:
            while not download.done.is_set():
                if (progress := download.progress) != told:
                    told = progress
                    tell(progress)
                if stop.is_set():
                    return
                download.end_if_late(self._limits.download_seconds)
                download.done.wait(LOOK_SECONDS)
            if download.refusal:
                raise BadInput(download.refusal)
        finally:
            with self._guard:
                self._waiting[wanted] -= 1
                if not self._waiting[wanted]:
                    download.end("")

    def _make_room_for_tokenizer(self, hub_id: str, size: int) -> None:
        """Make room for what is downloaded without weights."""
        with self._guard:
            without_weights.make_room(hub_id, size, {*self._needed})

    def _make_room(self, hub_id: str, size: int) -> None:
        """Make room for a model; its download waits for it."""
        with self._guard:
            if self._running[hub_id, True].done.is_set():
                return  # it was cancelled meanwhile
            others = {
                one for (one, weights), download in self._running.items()
                if weights and one != hub_id and not download.done.is_set()
            }  # fmt: skip
            arriving = {one: self._sizes.get(one, 0) for one in others}
            keep = {*self._needed, self._held() or ""}
            visitors_quota.make_room(hub_id, size, self._limits.kept_bytes, arriving, keep)
            self._sizes[hub_id] = size
