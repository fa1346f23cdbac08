"""Be the page's `Backend` for a service that runs in the engine's process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any

from kvdemo.core.events import RaceEvent, TurnCame
from kvdemo.core.visitor import NOBODY, Visitor
from kvdemo.server.engine_process.client import Engine, EngineLost, EngineSilent
from kvdemo.server.limits import Limits
from kvdemo.server.questions.candidate_store import NOT_KEPT
from kvdemo.server.questions.listings import list_strategies
from kvdemo.server.questions.measurements import Measurements
from kvdemo.server.questions.without_model import AnswersWithoutModel

Form = Mapping[str, Any]
#: Every open page asks for the status a few times a second while a model loads; they get the same answer for so long.
STATUS_SECONDS = 0.1
#: What every page, and whoever watches the server, asks for has so long to come; then what was known last is told.
SOON_SECONDS = 2.0
_STARTING: dict[str, Any] = {
    "state": "loading", "text": "The engine's process is starting", "fraction": None, "model": None,
}  # fmt: skip
_NO_ENGINE: dict[str, Any] = {"ok": False, "state": "loading", "model": None, "device": None, "runs": 0}


class EngineBackend(AnswersWithoutModel):
    """Implements `kvdemo.web.backend.Backend`: what needs the model or the device is asked of the engine's process.

    Forms, lists, tables and comparisons need neither and are answered here.
    """

    def __init__(
        self, default_model: str, *, device: str = "auto", dtype: str = "auto", limits: Limits | None = None
    ) -> None:
        super().__init__(default_model)
        self.engine = Engine({"default_model": default_model, "device": device, "dtype": dtype, "limits": limits})
        self._stopped: dict[str, threading.Event] = {}  # of each run that is under way
        self._measurements = Measurements(busy=lambda: bool(self._stopped))
        self._asking_status = threading.Lock()
        self._status_at = float("-inf")
        self._status, self._health, self._reasons = _STARTING, _NO_ENGINE, dict[str, str]()  # as they were last

    def preload(self) -> None:
        """Start the engine's process, which loads the default model; `status()` tells how far it is."""
        self.engine.start()

    def close(self) -> None:
        """End the engine's process, and leave no file behind; call it when the server ends."""
        self.engine.close()

    def race(self, form: Form, run_id: str, visitor: Visitor = NOBODY) -> Generator[list[RaceEvent], None, None]:
        return self._drawn("race", form, run_id, visitor, _race_begun)

    def measure(self, form: Form, run_id: str, visitor: Visitor = NOBODY) -> Generator[dict[str, Any], None, None]:
        states = self._drawn("measure", form, run_id, visitor, _state_begun)
        return self._measurements.followed(states, run_id, visitor)

    def inside(self, form: Form, run_id: str, visitor: Visitor = NOBODY) -> Generator[dict[str, Any], None, None]:
        return self._drawn("inside", form, run_id, visitor, _state_begun)

    def _drawn(
        self, method: str, form: Form, run_id: str, visitor: Visitor, begun: Callable[[Any], bool]
    ) -> Generator[Any, None, None]:
        stopped = self._stopped[run_id] = threading.Event()
        try:
            yield from self.engine.drawn(method, dict(form), run_id, visitor, begun=begun, stopped=stopped.is_set)
        finally:
            self._stopped.pop(run_id, None)

    def stop(self, run_id: str) -> None:
        if stopped := self._stopped.get(run_id):  # first: no process that is started from now on is asked for the run
            stopped.set()
        self._ask_if_up("stop", run_id)

    def candidates(self, run_id: str, lane: int, token: int) -> dict[str, Any]:
        return self._ask_if_up("candidates", run_id, lane, token, otherwise={"candidates": None, "reason": NOT_KEPT})

    def declare_public(self) -> None:
        """Take the server for a public one from now on: here, there, and in a process started later."""
        super().declare_public()
        self._ask_if_up("declare_public")

    def forget(self, page: str) -> None:
        self._ask_if_up("forget", page)

    def measured(self, run_id: str) -> dict[str, Any] | None:
        return self._measurements.find(run_id)

    def paced(self, visitor: Visitor = NOBODY) -> AbstractContextManager[bool]:
        return self._measurements.paced(visitor)

    def status(self) -> dict[str, Any]:
        with self._asking_status:  # one question for all pages that ask at a time
            if time.monotonic() - self._status_at > STATUS_SECONDS:
                with suppress(EngineSilent):
                    self._status = self._ask_soon("status", otherwise=_STARTING)
                self._status_at = time.monotonic()
            return dict(self._status)

    def health(self) -> dict[str, Any]:
        """Say in what state the server is; it is not `ok` while there is no engine's process, or none that answers.

        Of one that does not answer, what was known last is told, and the state is "silent".
        """
        try:
            self._health = self._ask_soon("health", otherwise=_NO_ENGINE)
        except EngineSilent:
            return self._health | {"ok": False, "state": "silent"}
        return self._health

    def fit(self, form: Form, visitor: Visitor = NOBODY) -> dict[str, Any] | None:
        return self._ask_if_up("fit", dict(form), visitor)

    def estimate(self, form: Form, visitor: Visitor = NOBODY) -> str:
        return self._ask_if_up("estimate", dict(form), visitor, otherwise=_STARTING["text"])

    def gpu_cost(self, form: Form) -> str | None:  # noqa: ARG002 - the device is the server's own
        return None

    def panel_gpu_cost(self, form: Form) -> str | None:  # noqa: ARG002 - the device is the server's own
        return None

    def plan(self, form: Form, visitor: Visitor = NOBODY) -> dict[str, Any]:
        return self.engine.call("plan", dict(form), visitor)

    def strategies(self) -> list[dict[str, Any]]:
        """List them here: the engine's process is asked only why the model that it holds cannot run some."""
        with suppress(EngineSilent):
            self._reasons = self._ask_soon("reasons", otherwise={})
        return list_strategies(self._reasons)

    def _ask_soon(self, method: str, *, otherwise: Any) -> Any:
        """Ask the engine's process what it knows without work. Raises EngineSilent."""
        if not self.engine.up:
            return otherwise
        try:
            return self.engine.call_soon(method, SOON_SECONDS)
        except EngineLost:
            return otherwise

    def _ask_if_up(self, method: str, *arguments: Any, otherwise: Any = None) -> Any:
        """Ask the engine's process; what is true without one is `otherwise`."""
        if not self.engine.up:
            return otherwise
        try:
            return self.engine.call(method, *arguments)
        except EngineLost:
            return otherwise


def _race_begun(batch: list[RaceEvent]) -> bool:
    """Tell whether the turn of a race came, in the batch that says so."""
    return any(isinstance(event, TurnCame) for event in batch)


def _state_begun(state: dict[str, Any]) -> bool:
    """Tell whether the turn of a measurement or a look inside came, in the state that says so."""
    return state["waited_s"] is not None
