"""Keep what the tokens of the latest races were chosen from, for the pages that ask of a token that is pointed at."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import replace
from typing import Any

from kvdemo.core.events import RaceEvent, TokensCommitted

#: A token takes about 1.1 kB with no rule, 1.7 kB with four: this is room for some 40,000 of them, over all races.
MOST_BYTES = 64_000_000
#: Why a token's candidates cannot be told, where its lane does not say why.
NOT_KEPT = "What this token was chosen from is not kept: only the latest races are."
#: What an entry takes beside its text: the key, both objects, the place in the table.
_OVERHEAD = 300


class CandidateStore:
    """What each token of a race was chosen from, by the race's id. Over `most_bytes` the oldest tokens are dropped."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: dict[str, bytes] = {}
        self._counts: dict[tuple[str, int], int] = {}
        self._lock = threading.Lock()
        self.bytes = 0

    def followed(
        self, batches: Generator[list[RaceEvent], None, None], run_id: str
    ) -> Generator[list[RaceEvent], None, None]:
        """Yield the batches of a race without its candidates, each when those are kept: the page asks for them."""
        try:
            with closing(batches):
                for batch in batches:
                    self.add(run_id, batch)
                    yield [_without_candidates(event) for event in batch]
        finally:
            self.end(run_id)

    def add(self, run_id: str, events: Iterable[RaceEvent]) -> None:
        """Keep what the events of a race tell."""
        with self._lock:
            for event in events:
                if isinstance(event, TokensCommitted):
                    self._add(run_id, event)

    def _add(self, run_id: str, event: TokensCommitted) -> None:
        lane = (run_id, event.lane)
        first = self._counts.get(lane, 0)
        self._counts[lane] = first + len(event.texts)
        for token, entry in enumerate(event.candidates, start=first):
            if entry is not None:
                text = json.dumps(entry, separators=(",", ":")).encode()
                self._kept[_key(run_id, event.lane, token)] = text
                self.bytes += len(text) + _OVERHEAD
        while self.bytes > self._most_bytes:
            self.bytes -= len(self._kept.pop(next(iter(self._kept)))) + _OVERHEAD

    def end(self, run_id: str) -> None:
        """Count the tokens of a race no longer: it has ended. What is kept of it stays."""
        with self._lock:
            self._counts = {lane: count for lane, count in self._counts.items() if lane[0] != run_id}

    def find(self, run_id: str, lane: int, token: int) -> dict[str, Any] | None:
        """Return what a token was chosen from, in the document's form; None where it is not kept (any more).

        `token` is its place in the lane's text, from 0.
        """
        text = self._kept.get(_key(run_id, lane, token))
        found: dict[str, Any] | None = None if text is None else json.loads(text)
        return found


def _without_candidates(event: RaceEvent) -> RaceEvent:
    return replace(event, candidates=()) if isinstance(event, TokensCommitted) else event


def _key(run_id: str, lane: int, token: int) -> str:
    return f"{run_id} {lane} {token}"
