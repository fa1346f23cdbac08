"""Record of each run what it was and how it ended, without a word of its prompt or its text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kvdemo.core.events import Finished, RaceEvent, Started, TokensCommitted, TurnCame
from kvdemo.server.run_events.batches import INTERVAL_SECONDS

Kind = Literal["race", "measurement", "inside"]
#: "left": its page was closed. "refused": it could not run as it was asked for. "lost": the engine's process ended.
Outcome = Literal["done", "stopped", "failed", "left", "refused", "lost"]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run.

    run        a hash of its id: whoever has the id, which opens what is kept of a measurement, finds the record by it
    model      the model that ran; None where none did, since what a visitor typed may be anything
    lanes      ids of the strategies
    tokens     that were committed, of a measurement in its timed runs; None for a look inside
    waited_s   for the device
    seconds    on the device, as they passed for who listened
    """

    kind: Kind
    run: str
    outcome: Outcome
    model: str | None
    lanes: tuple[str, ...]
    tokens: int | None
    waited_s: float
    seconds: float


class Course:
    """A run that is under way, from what is told of it. `now` is the time on the caller's clock."""

    def __init__(self, kind: Kind, run_id: str, now: float) -> None:
        self.kind = kind
        self._run = hashlib.sha256(run_id.encode()).hexdigest()[:12]
        self._began = now
        self._turn: float | None = None
        self._waited = 0.0
        self._model: str | None = None
        self._lanes: tuple[str, ...] = ()
        self._tokens: int | None = None if kind == "inside" else 0
        self._outcome: Outcome = "stopped"  # what ends without a document was stopped before it began

    @property
    def waits(self) -> bool:
        """Whether the run still waits for the device."""
        return self._turn is None

    def add_events(self, events: Iterable[RaceEvent], now: float) -> None:
        """Note what happened in a race."""
        for event in events:
            match event:
                case TurnCame(waited_s):
                    self._take_turn(waited_s, now)
                case Started(lanes=lanes, model=model):
                    self._model, self._lanes = model["id"], tuple(lane.strategy for lane in lanes)
                case TokensCommitted(texts=texts):
                    self._tokens = (self._tokens or 0) + len(texts)
                case Finished(document=document):
                    self._outcome = _race_outcome([lane["status"] for lane in document["lanes"]])

    def add_state(self, state: Mapping[str, Any], now: float) -> None:
        """Note a state of a measurement or of a look inside."""
        if (waited := state.get("waited_s")) is not None:
            self._take_turn(waited, now)
        if not (document := state["document"]):
            return
        self._model = document["model"]["id"]
        if document["status"] != "running":
            self._outcome = document["status"]
        if self.kind == "measurement":
            self._lanes = tuple(lane["strategy"].partition(":")[0] for lane in document["lanes"])
            self._tokens = sum(run["tokens"] for lane in document["lanes"] for run in lane["runs"])

    def _take_turn(self, waited_s: float, now: float) -> None:
        # It came a moment ago: it is told with what else happened in a batch, which may be all of a short run.
        self._turn, self._waited = max(self._began + waited_s, now - INTERVAL_SECONDS), waited_s

    def ended(self, now: float, outcome: Outcome | None = None) -> RunRecord:
        """Return the record of the run, which ends now; `outcome` is given where nobody could tell it."""
        turn = now if self._turn is None else self._turn
        waited = now - self._began if self._turn is None else self._waited
        return RunRecord(
            self.kind, self._run, outcome or self._outcome, self._model, self._lanes, self._tokens,
            round(waited, 3), round(now - turn, 3),
        )  # fmt: skip


def _race_outcome(lanes: list[str]) -> Outcome:
    if "stopped" in lanes:
        return "stopped"
    return "failed" if all(status == "failed" for status in lanes) else "done"
