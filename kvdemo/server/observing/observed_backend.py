"""Tell of each run when it has ended, whatever ended it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from functools import partial
from typing import Any, TypeVar

from kvdemo.core.errors import BadInput
from kvdemo.core.events import RaceEvent
from kvdemo.core.visitor import NOBODY, Visitor
from kvdemo.engine.timer import Clock
from kvdemo.server.engine_process.backend import EngineBackend
from kvdemo.server.engine_process.client import EngineClosed, EngineLost
from kvdemo.server.observing.run_record import Course, Kind, Outcome, RunRecord
from kvdemo.server.service import Service

T = TypeVar("T")
Form = Mapping[str, Any]


class Observed:
    """Implements `kvdemo.web.backend.Backend` by another one, and tells `told` of each run when it has ended.

    It stands in the page's process, which outlives the engine's and knows when a page was closed.
    """

    def __init__(
        self, backend: Service | EngineBackend, *told: Callable[[RunRecord], None], clock: Clock = time.monotonic
    ) -> None:
        self._backend, self._told, self._clock = backend, told, clock
        self._under_way: set[Course] = set()
        self.stop = backend.stop
        self.forget = backend.forget
        self.candidates = backend.candidates
        self.measured = backend.measured
        self.paced = backend.paced
        self.status = backend.status
        self.fit = backend.fit
        self.gpu_cost = backend.gpu_cost
        self.panel_gpu_cost = backend.panel_gpu_cost
        self.estimate = backend.estimate
        self.plan = backend.plan
        self.compare = backend.compare
        self.models = backend.models
        self.free_names = backend.free_names
        self.strategies = backend.strategies
        self.samplers = backend.samplers
        self.presets = backend.presets
        self.default_form = backend.default_form
        self.document_csv = backend.document_csv
        self.measure_csv = backend.measure_csv
        self.measure_markdown = backend.measure_markdown

    @property
    def waiting(self) -> int:
        """Runs that wait for the device."""
        return sum(course.waits for course in self._under_way.copy())

    @property
    def running(self) -> int:
        """Runs that have the device, or end."""
        return len(self._under_way) - self.waiting

    @property
    def restarts(self) -> int | None:
        """How often the engine's process was started again; None where there is none."""
        return self._backend.engine.restarts if isinstance(self._backend, EngineBackend) else None

    def race(self, form: Form, run_id: str, visitor: Visitor = NOBODY) -> Generator[list[RaceEvent], None, None]:
        yield from self._seen("race", run_id, partial(self._backend.race, form, run_id, visitor), Course.add_events)

    def measure(self, form: Form, run_id: str, visitor: Visitor = NOBODY) -> Generator[dict[str, Any], None, None]:
        yield from self._seen(
            "measurement", run_id, lambda: self._backend.measure(form, run_id, visitor), Course.add_state
        )

    def inside(self, form: Form, run_id: str, visitor: Visitor = NOBODY) -> Generator[dict[str, Any], None, None]:
        yield from self._seen("inside", run_id, partial(self._backend.inside, form, run_id, visitor), Course.add_state)

    def _seen(
        self,
        kind: Kind,
        run_id: str,
        start: Callable[[], Generator[T, None, None]],
        add: Callable[[Course, T, float], None],
    ) -> Generator[T, None, None]:
        course = Course(kind, run_id, self._clock())
        self._under_way.add(course)
        outcome: Outcome | None = "failed"
        try:
            with closing(start()) as items:
                for item in items:
                    add(course, item, self._clock())
                    yield item
            outcome = None
        except GeneratorExit:
            outcome = "left"
            raise
        except EngineLost as error:
            outcome = "stopped" if isinstance(error, EngineClosed) else "lost"
            raise
        except BadInput:
            outcome = "refused"
            raise
        finally:
            self._under_way.discard(course)
            record = course.ended(self._clock(), outcome)
            for tell in self._told:
                tell(record)
