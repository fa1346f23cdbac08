"""Check requests, start their runs (`kvdemo.server.runs`), and answer the page's questions, for all visitors.

Modules that need torch are imported with the first model, not with this module.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING, Any

from kvdemo import strategies
from kvdemo.caches.prefix_store import SessionPrefixes
from kvdemo.core.errors import BadInput
from kvdemo.core.settings.inside import InsideRequest
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import DEFAULT_PROMPT, RaceRequest
from kvdemo.core.settings.request import Request
from kvdemo.core.visitor import NOBODY, Visitor
from kvdemo.costs.planner import PlanRequest
from kvdemo.models.names import catalog
from kvdemo.server.device import DeviceLease, NeverStops
from kvdemo.server.downloads.needs import check_drafts
from kvdemo.server.questions import planning
from kvdemo.server.questions.forecasts import Forecasts
from kvdemo.server.questions.listings import known_reasons, list_strategies
from kvdemo.server.questions.measurements import Measurements
from kvdemo.server.questions.without_model import AnswersWithoutModel
from kvdemo.server.run_events.states import inside_state, measure_state
from kvdemo.server.runs import NO_STORE, Batches, BatchesOf, Runs
from kvdemo.server.zerogpu import Terms

if TYPE_CHECKING:
    from kvdemo.models.loaded import LoadedModel
    from kvdemo.server.limits import Limits

log = logging.getLogger(__name__)

#: After loading, strategies are tried on the model for so long; none is begun later.
TRIAL_SECONDS = 3.0


class Service(AnswersWithoutModel):
    """Answer whatever the page asks; implements `kvdemo.web.backend.Backend`.

    `default_model` is what a request without a model runs on. `only_default` refuses every other model: on
    ZeroGPU, weights must be on the device before the first request. `on_gpu` wraps the generator function that
    needs the device, as `spaces.GPU` does there. `limits` are what a visitor may ask for; those by default, if None.
    `lent` says on what terms a GPU is lent by the second; None where the device is the server's own.
    """

    def __init__(
        self,
        default_model: str = catalog.DEFAULT,
        *,
        device: str = "auto",
        dtype: str = "auto",
        only_default: bool = False,
        on_gpu: Callable[[BatchesOf], BatchesOf] = lambda batches_of: batches_of,
        limits: Limits | None = None,
        lent: Terms | None = None,
    ) -> None:
        from kvdemo.server.limits import Limits  # noqa: PLC0415 - pydantic, which the command line can do without

        self.limits = limits or Limits()
        super().__init__(default_model, only_default=only_default)
        self._device = DeviceLease(default_model, device=device, dtype=dtype, only_default=only_default)
        self.prefixes = SessionPrefixes()
        self._runs = Runs(self._device, on_gpu, self.limits, self.prefixes.let_go)
        busy = lambda: lent is None and self._runs.count > 0  # noqa: E731
        self._measurements = Measurements(busy)
        self._forecasts = Forecasts(self._device, self.limits, self._runs.costs, lent, busy)

    def preload(self) -> None:
        """Load the default model; `status()` tells how far it is, and why it failed if it did."""
        self._device.preload(self._try_out, self._runs.fetch)

    def _try_out(self, model: LoadedModel) -> None:
        """Take a few steps: the first measurement's time can then be predicted, and the page lists what cannot run."""
        if self.only_default:  # the device is lent to runs only
            self._forecasts.count_operations(model)
            return
        from kvdemo.race import session  # noqa: PLC0415

        request = RaceRequest(DEFAULT_PROMPT, strategies=("dynamic_cache",), max_new_tokens=3, ignore_eos=True)
        try:
            self._runs.learn([session.run(request, model, lambda _: None, NeverStops())])
        except BadInput as error:
            log.info("no steps to forecast from: %s", error)
        start = time.monotonic()
        for introduction in strategies.introductions().values():
            if time.monotonic() - start < TRIAL_SECONDS:  # the others are tried when a race asks for them
                strategies.unavailable_reason(introduction, model)

    def close(self) -> None:
        """Leave no file behind; call it when the server ends."""
        self._runs.close()

    def status(self) -> dict[str, Any]:
        """Say which model is held, or what is being done to get one."""
        return self._device.status()

    def health(self) -> dict[str, Any]:
        """Say in what state the server is: `ok`, the model's state and name, its device, and runs, waiting ones too."""
        status = self.status()
        facts = status["model"] or {}
        return {
            "ok": status["state"] != "failed", "state": status["state"], "model": facts.get("id"),
            "device": facts.get("device"), "runs": self._runs.count,
        }  # fmt: skip

    @property
    def held(self) -> LoadedModel | None:
        """The model that is loaded."""
        return self._device.held

    def race(self, form: Mapping[str, Any], run_id: str, visitor: Visitor = NOBODY) -> Batches:
        """Run a race; yields its events in batches. Raises BadInput, here or while it is iterated.

        The model is loaded first if need be. Closing the iterator stops the race within a step, without a
        verdict; `stop(run_id)` ends it with one. A visitor that `keeps` finds what its own last race kept, and keeps
        this one's, until `forget(session)`. `candidates` tells what the tokens of a page's
        race were chosen from, each as soon as the batch with it is yielded.
        """
        return self._candidates.followed(self.race_with_candidates(form, run_id, visitor), run_id)

    def race_with_candidates(self, form: Mapping[str, Any], run_id: str, visitor: Visitor = NOBODY) -> Batches:
        """Run a race as `race` does, for whoever keeps himself what the tokens of a page's race were chosen from."""
        request = RaceRequest.parse(form)
        self._check(request)
        of_page = self.prefixes.for_race(visitor.session) if visitor.keeps else NO_STORE
        return self._runs.start(request, run_id, visitor, of_page)

    def forget(self, page: str) -> None:
        """Let go of what the races of a page kept: it is closed."""
        self.prefixes.drop(page)

    def measure(
        self, form: Mapping[str, Any], run_id: str, visitor: Visitor = NOBODY
    ) -> Generator[dict[str, Any], None, None]:
        """Run a measurement; yields its states: text, fraction, remaining_s, document. Raises BadInput.

        Each state's document (None if it has not changed) is kept under `run_id` once there is a run in it. Closing
        the iterator stops the run within a step; `stop(run_id)` does too, and a last state with the document still
        comes.
        """
        request = MeasureRequest.parse(form)
        self._check(request)
        return self._measurements.followed(self._states(request, run_id, visitor), run_id, visitor)

    def _states(self, request: MeasureRequest, run_id: str, visitor: Visitor) -> Generator[dict[str, Any], None, None]:
        with closing(self._runs.start(request, run_id, visitor)) as measured:
            for batch in measured:
                yield measure_state(batch)

    def inside(
        self, form: Mapping[str, Any], run_id: str, visitor: Visitor = NOBODY
    ) -> Generator[dict[str, Any], None, None]:
        """Compute panels of Inside; yields its states: text, fraction, document. Raises BadInput.

        They wait for the device as a race does. Closing the iterator stops the run before its next forward pass;
        `stop(run_id)` does too, and a last state with what is computed still comes.
        """
        request = InsideRequest.parse(form)
        self.limits.check(request)
        self._device.check(request.model)
        return self._panels(request, run_id, visitor)

    def _panels(self, request: InsideRequest, run_id: str, visitor: Visitor) -> Generator[dict[str, Any], None, None]:
        with closing(self._runs.start(request, run_id, visitor)) as shown:
            for batch in shown:
                yield inside_state(batch)

    def measured(self, run_id: str) -> dict[str, Any] | None:
        """Return the document of a measurement, as far as it came; None if it is not kept."""
        return self._measurements.find(run_id)

    def paced(self, visitor: Visitor = NOBODY) -> AbstractContextManager[bool]:
        """Let one piece of work on a measurement's document begin at a time, and beside a run each after a rest."""
        return self._measurements.paced(visitor)

    def _check(self, request: RaceRequest | MeasureRequest) -> None:
        """Raise BadInput for what can be said without a model, or with the only one there is."""
        race = request.race if isinstance(request, MeasureRequest) else request
        for strategy_id in race.strategies:
            strategies.check(strategy_id)
        self.limits.check(request)
        self._device.check(race.model, fallback=isinstance(request, MeasureRequest) and request.preset == "classic")
        check_drafts(self._device, race)
        if self.only_default and (model := self.held):
            # Here, because an error inside a GPU process loses its sentence.
            with _nothing_tried():
                if isinstance(request, MeasureRequest):
                    from kvdemo.measure.check import check_measurement  # noqa: PLC0415

                    check_measurement(request, model)
                else:
                    from kvdemo.race.check import check_race  # noqa: PLC0415

                    check_race(request, model)

    def stop(self, run_id: str) -> None:
        """End a race after the step that it is in; it still reports what was done and the verdict on it.

        One that is asked for later under this id ends before its first step.
        """
        self._runs.stop(run_id)

    def overdue(self) -> float:
        """Return for how many seconds a run has held the device beyond its limit or Stop."""
        return self._device.overdue()

    def fit(self, form: Mapping[str, Any], visitor: Visitor = NOBODY) -> dict[str, Any] | None:
        """Say how a prompt fits the held model; None if that is another one, or the form is not filled in yet.

        Raises BadInput for a prompt that this model cannot read, NotNow where counting it would disturb a run.
        """
        return self._forecasts.fit(form, visitor)

    def estimate(self, form: Mapping[str, Any], visitor: Visitor = NOBODY) -> str:
        """Say in one sentence what a measurement has to do and how long it may take, or what is wrong with the form.

        Raises NotNow where counting its prompt would disturb a run.
        """
        return self._forecasts.estimate(form, visitor)

    def gpu_cost(self, form: Mapping[str, Any]) -> str | None:
        """Say in one sentence how many GPU seconds a race asks for; None where the device is the server's own."""
        return self._forecasts.gpu_cost(form)

    def panel_gpu_cost(self, form: Mapping[str, Any]) -> str | None:
        """Say how many GPU seconds a panel of Inside asks for; None where the device is the server's own."""
        return self._forecasts.panel_gpu_cost(form)

    def pass_seconds(self, gpu: str) -> float | None:
        """Predict a forward pass of the held model on a GPU of this name before any has run; None where unknown."""
        return self._forecasts.pass_seconds(gpu)

    def forecast(self, request: Request) -> float | None:
        """Predict the seconds that a run decodes, from earlier steps of the held model; None where that is unknown."""
        return self._forecasts.seconds(request)

    def plan(self, form: Mapping[str, Any], visitor: Visitor = NOBODY) -> dict[str, Any]:
        """Plan what a model's configuration needs of a machine (`planner`); no weights are loaded. Raises BadInput."""
        request = PlanRequest.parse(form)
        planning.import_transformers(self._device)
        self._runs.note_plan()
        return planning.plan(request, self._device, visitor)

    def note_question(self) -> None:
        """Count a question of the page's process: a measurement says in its notes where they are many."""
        self._runs.questions.note()

    def answering(self, read_seconds: float) -> AbstractContextManager[None]:
        """Count the time of a question that is answered in this context: a measurement notes where it is much."""
        return self._runs.questions.answered(read_seconds)

    def strategies(self) -> list[dict[str, Any]]:
        """List every strategy, its explanation, and whether the held model can run it, as far as that was tried."""
        return list_strategies(self.reasons())

    def reasons(self) -> dict[str, str]:
        """Say by id why the held model cannot run some strategies, as far as that was tried."""
        held = self.held
        return {} if held is None else known_reasons(held)


def _nothing_tried() -> AbstractContextManager[None]:
    """Keep strategies from being tried on the model, because the device belongs to somebody else."""
    from kvdemo.strategies.compatibility import trial  # noqa: PLC0415 - torch is imported with a model

    return trial.known_only()
