"""Be the page's `Backend` for a service that runs in the engine's process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from kvdemo.core.errors import BadInput
from kvdemo.core.events import RaceEvent, TurnCame
from kvdemo.core.settings.declaration import refuse_long
from kvdemo.core.settings.inside import InsideRequest
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import COUNTED, RaceRequest
from kvdemo.core.visitor import NOBODY, Visitor
from kvdemo.costs.planner import PlanRequest
from kvdemo.models.facts import config_check
from kvdemo.server.engine_process.client import Engine, EngineLost, EngineSilent
from kvdemo.server.limits import Limits
from kvdemo.server.questions.listings import list_strategies
from kvdemo.server.questions.measurements import Measurements
from kvdemo.server.questions.without_model import AnswersWithoutModel

Form = Mapping[str, Any]
#: What the engine's process knows without work is asked of it once in so long, however many ask: each question takes
#: time of somebody's steps, and every open page asks for the status a few times a second while a model loads.
KEPT_SECONDS = 0.1
#: What every page, and whoever watches the server, asks for has so long to come; then what was known last is told.
SOON_SECONDS = 2.0
_STARTING: dict[str, Any] = {
    "state": "loading", "text": "The engine's process is starting", "fraction": None, "model": None,
}  # fmt: skip
_NO_ENGINE: dict[str, Any] = {"ok": False, "state": "loading", "model": None, "device": None, "runs": 0}


class EngineBackend(AnswersWithoutModel):
    """Implements `kvdemo.web.backend.Backend`: what needs the model or the device is asked of the engine's process.

    Forms, lists, tables and comparisons need neither and are answered here. A form with a text that is too long is
    refused here, too: to take it over costs time of somebody's steps.
    """

    def __init__(
        self, default_model: str, *, device: str = "auto", dtype: str = "auto", limits: Limits | None = None
    ) -> None:
        super().__init__(default_model)
        self._limits = limits or Limits()
        self.engine = Engine({"default_model": default_model, "device": device, "dtype": dtype, "limits": self._limits})
        self._stopped: dict[str, threading.Event] = {}  # of each run that is under way
        self._measurements = Measurements(busy=lambda: bool(self._stopped))
        self._status = _Latest(self.engine, "status", _STARTING)
        self._health = _Latest(self.engine, "health", _NO_ENGINE)
        self._reasons = _Latest(self.engine, "reasons", {})

    def preload(self) -> None:
        """Start the engine's process, which loads the default model; `status()` tells how far it is."""
        self.engine.start()

    def close(self) -> None:
        """End the engine's process, and leave no file behind; call it when the server ends."""
        self.engine.close()

    def race(self, form: Form, run_id: str, visitor: Visitor = NOBODY) -> Generator[list[RaceEvent], None, None]:
        self._refuse_long(RaceRequest, form)
        batches = self._drawn("race_with_candidates", form, run_id, visitor, _race_begun)
        return self._candidates.followed(batches, run_id)

    def measure(self, form: Form, run_id: str, visitor: Visitor = NOBODY) -> Generator[dict[str, Any], None, None]:
        self._refuse_long(MeasureRequest, form)
        states = self._drawn("measure", form, run_id, visitor, _state_begun)
        return self._measurements.followed(states, run_id, visitor)

    def inside(self, form: Form, run_id: str, visitor: Visitor = NOBODY) -> Generator[dict[str, Any], None, None]:
        self._refuse_long(InsideRequest, form)
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
        status, _ = self._status.get()
        return status

    def health(self) -> dict[str, Any]:
        """Say in what state the server is; it is not `ok` while there is no engine's process, or none that answers.

        Of one that does not answer, what was known last is told, and the state is "silent".
        """
        health, silent = self._health.get()
        return health | {"ok": False, "state": "silent"} if silent else health

    def fit(self, form: Form, visitor: Visitor = NOBODY) -> dict[str, Any] | None:
        asked = {key: form.get(key) for key in COUNTED}
        try:
            refuse_long(RaceRequest, asked)
        except BadInput:
            return None  # as the service says of a form that it cannot read
        self._limits.check_texts(asked)
        return self._ask_if_up("fit", asked, visitor)

    def estimate(self, form: Form, visitor: Visitor = NOBODY) -> str:
        try:
            self._refuse_long(MeasureRequest, form)
        except BadInput as error:
            return str(error)
        return self._ask_if_up("estimate", dict(form), visitor, otherwise=_STARTING["text"])

    def gpu_cost(self, form: Form) -> str | None:  # noqa: ARG002 - the device is the server's own
        return None

    def panel_gpu_cost(self, form: Form) -> str | None:  # noqa: ARG002 - the device is the server's own
        return None

    def plan(self, form: Form, visitor: Visitor = NOBODY) -> dict[str, Any]:
        refuse_long(PlanRequest, form)
        config_check.refuse_long(form.get("config") or "")
        return self.engine.call("plan", dict(form), visitor)

    def strategies(self) -> list[dict[str, Any]]:
        """List them here: the engine's process is asked only why the model that it holds cannot run some."""
        reasons, _ = self._reasons.get()
        return list_strategies(reasons)

    def _refuse_long(self, kind: type[Any], form: Form) -> None:
        refuse_long(kind, form)
        self._limits.check_texts(form)

    def _ask_if_up(self, method: str, *arguments: Any, otherwise: Any = None) -> Any:
        """Ask the engine's process; what is true without one is `otherwise`."""
        if not self.engine.up:
            return otherwise
        try:
            return self.engine.call(method, *arguments)
        except EngineLost:
            return otherwise


class _Latest:
    """What a method of the service said last, which knows it without work; `otherwise` while there is no process."""

    def __init__(self, engine: Engine, method: str, otherwise: dict[str, Any]) -> None:
        self._engine, self._method, self._otherwise = engine, method, otherwise
        self._asking = threading.Lock()
        self._at = float("-inf")
        self._said, self._silent = otherwise, False

    def get(self) -> tuple[dict[str, Any], bool]:
        """Return what was said last, asked for again unless that was just now, and whether the process is silent."""
        with self._asking:  # one question for all who ask at a time
            if time.monotonic() - self._at > KEPT_SECONDS:
                try:
                    self._said, self._silent = self._ask(), False
                except EngineSilent:
                    self._silent = True
                self._at = time.monotonic()
            return dict(self._said), self._silent

    def _ask(self) -> dict[str, Any]:
        if not self._engine.up:
            return self._otherwise
        try:
            said: dict[str, Any] = self._engine.call_soon(self._method, SOON_SECONDS)
        except EngineLost:
            return self._otherwise
        return said


def _race_begun(batch: list[RaceEvent]) -> bool:
    """Tell whether the turn of a race came, in the batch that says so."""
    return any(isinstance(event, TurnCame) for event in batch)


def _state_begun(state: dict[str, Any]) -> bool:
    """Tell whether the turn of a measurement or a look inside came, in the state that says so."""
    return state["waited_s"] is not None
