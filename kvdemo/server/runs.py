"""Run races, measurements and Inside, each on a thread that holds the device, and stop them.

A run waits for the device, reports that it waits, and releases the device when it ends (`kvdemo.server.device`).
Modules that need torch are imported with the first model, not with this module.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from kvdemo import strategies
from kvdemo.caches.prefix_store import PrefixStore
from kvdemo.core.cancellation import CancelFile, CancelFiles, CancelToken, TimeLimit, why
from kvdemo.core.errors import BadInput, Discarded, NoRoom
from kvdemo.core.events import PanelsShown, Progress, TurnCame
from kvdemo.core.figures.units import count
from kvdemo.core.settings.inside import InsideRequest
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.settings.request import Request
from kvdemo.core.system import public_server
from kvdemo.core.visitor import NOBODY, Visitor
from kvdemo.measure.duration_forecast import StepTimeModel
from kvdemo.server.admission import Admission
from kvdemo.server.device import DeviceLease, again_if_discarded
from kvdemo.server.downloads.needs import on_disk
from kvdemo.server.downloads.shared import Downloads
from kvdemo.server.run_events.batches import EventChannel, batches
from kvdemo.server.run_events.race_feed import RaceFeed, is_disturbed

if TYPE_CHECKING:
    from kvdemo.measure.state import State
    from kvdemo.models.loaded import LoadedModel
    from kvdemo.server.limits import Limits
#: What happens in a run, a few times a second: a race's `RaceEvent`s, a measurement's `Progress` and `State`,
#: the `Progress` and `PanelsShown` of Inside.
Batches = Generator[list[Any], None, None]


@dataclass(frozen=True)
class Asked:
    """What a run has from who asked for it, beside the request.

    arrival  its place in the order of arrival
    shown    whether a page looks on, which asks what each token was chosen from
    here     whether that page is on this machine
    """

    arrival: int | None = None
    shown: bool = False
    here: bool = False


BatchesOf = Callable[[Request, str, Asked], Batches]


class Runs:
    """Start runs, know which ones are under way, and learn from their documents how long steps take.

    `device` lends the device and the model. `on_gpu` wraps the generator function that needs the device, as
    `spaces.GPU` does on ZeroGPU. `limits` says how long a run may take. `let_go` frees memory that earlier
    races left something in, and returns whether there was any.
    """

    def __init__(
        self, device: DeviceLease, on_gpu: Callable[[BatchesOf], BatchesOf], limits: Limits, let_go: Callable[[], bool]
    ) -> None:
        self._let_go = let_go
        self._device, self._limits = device, limits
        self._downloads = Downloads(limits, lambda: device.held.id if device.held else None)
        self._batches = on_gpu(self._on_thread)
        self._flags, self._admission = CancelFiles(), Admission(limits)
        self._under_way: dict[str, PrefixStore | None] = {}
        self._at_work: set[str] = set()
        self._costs: tuple[str, StepTimeModel] | None = None
        self._planned = 0

    def fetch(self, model: str, tell: Callable[[Progress], None], stop: CancelToken) -> None:
        """Download the operator's model unless it is here; runs that need it share the download. Raises BadInput."""
        hub_id = self._device.resolve(model).hub_id
        with self._downloads.needed() as fetch:
            if hub_id:
                fetch(hub_id, tell, stop, limited=False, best=True)

    @property
    def count(self) -> int:
        """Runs that have begun or wait for the device."""
        return self._admission.held

    def close(self) -> None:
        """Leave no file behind; call it when the server ends."""
        self._flags.close()

    def is_under_way(self, run_id: str) -> bool:
        """Tell whether a run has been started and has not ended."""
        return run_id in self._under_way

    def stop(self, run_id: str) -> None:
        """End a run after the step that it is in. One that is asked for later under this id ends before its first."""
        self._flags.of(run_id).set()

    def start(
        self, request: Request, run_id: str, visitor: Visitor = NOBODY, prefix_store: PrefixStore | None = None
    ) -> Batches:
        """Yield what happens in a run, and learn from its document. Raises BadInput where there is no place for it."""
        with self._admission.place(visitor):
            self._under_way[run_id] = prefix_store
            shown = prefix_store is not None
            asked = Asked(visitor.arrival, shown, here=shown and not visitor.address and not public_server.is_public())
            try:
                on_device = self._on_thread if _all_elsewhere(request) else self._batches
                with closing(on_device(request, run_id, asked)) as batches_of_run:
                    for batch in batches_of_run:
                        self.learn(batch)
                        yield batch
                if run_id not in self._at_work:  # else its thread must still find that it was stopped
                    self._flags.of(run_id).clear()
            finally:
                self._under_way.pop(run_id, None)

    def learn(self, batch: list[Any]) -> None:
        """Keep what documents among the events say of how long steps take: `costs` gives it."""
        for event in batch:
            document = None if isinstance(event, PanelsShown) else getattr(event, "document", None)
            if document and (costs := StepTimeModel.fit(document)):
                model = document["model"]["id"]
                self._costs = (model, costs.after(self.costs(model)))

    def costs(self, model: str) -> StepTimeModel | None:
        """Return what was learned of the steps of a model; None if the last run was another model's."""
        return self._costs[1] if self._costs and self._costs[0] == model else None

    def note_plan(self) -> None:
        """Count a plan that was calculated: a measurement that runs meanwhile says so in its notes."""
        self._planned += 1

    def _on_thread(self, request: Request, run_id: str, asked: Asked) -> Batches:
        """Run on a thread of its own; on ZeroGPU in a process of its own, too, where a GPU is lent to it.

        That process may have been made for an earlier run, and then knows of this one what is given here. Neither a
        model that is being loaded nor a chat template looks at Stop: whoever has stopped his run waits for neither.
        """
        stop, prepared = self._flags.of(run_id), threading.Event()
        store = self._under_way.get(run_id)
        return batches(
            partial(self._work, request, run_id, store, asked, stop, prepared), stop,
            given_up=lambda: stop.is_set() and not prepared.is_set(),
        )  # fmt: skip

    def _work(
        self, request: Request, run_id: str, prefix_store: PrefixStore | None, asked: Asked, stop: CancelFile,
        prepared: threading.Event, tell: EventChannel[Any],
    ) -> None:  # fmt: skip
        """Run what was asked for once the model's files are here and the device is free.

        `prepared` is set when the model is loaded and the prompt is made: what comes then looks at `stop`.
        """

        def prepare(model: LoadedModel) -> LoadedModel:
            of_race = request.race if isinstance(request, MeasureRequest) else request
            model.prompt(of_race.prompt, chat=of_race.chat)  # rendered here once, and known to what comes
            prepared.set()
            return model

        def race(request: RaceRequest, model: LoadedModel, release: Callable[[], None] = lambda: None) -> None:
            from kvdemo.race import session  # noqa: PLC0415

            disturbed = not _all_elsewhere(request) and is_disturbed(request.schedule, model.device)
            feed = RaceFeed(tell, rests=asked.here and disturbed)

            def leave() -> None:
                feed.leave()
                release()

            self._in_room(
                model,
                partial(
                    session.run, request, model, feed, self._limited(request, stop), prefix_store,
                    with_candidates=asked.shown, release=leave, make_room=self._let_go,
                ),
            )  # fmt: skip

        def run() -> None:
            with (
                on_disk(self._downloads, self._device, request, tell, stop) as refused,
                self._device.acquire(tell, stop, asked.arrival) as release,
            ):
                if stop.is_set():
                    return
                # Under the turn: two threads that import transformers at once trip over each other.
                if isinstance(request, MeasureRequest):
                    self._measure(request, run_id, tell, stop, refused, prepare)
                    return
                model = prepare(self._device.load(request.model or self._device.default_model, tell))
                self._device.limit(self._limits.seconds(request))
                if isinstance(request, InsideRequest):
                    from kvdemo.inside import session as inside  # noqa: PLC0415

                    inside.run(request, model, tell, self._limited(request, stop))
                else:
                    race(request, model, release)

        def run_elsewhere() -> None:
            assert isinstance(request, RaceRequest)  # noqa: S101 - nothing else runs on other machines
            with on_disk(self._downloads, self._device, request, tell, stop, weights=False):
                if not stop.is_set():
                    model = prepare(self._model_for_other_machines(request, tell))
                    tell(TurnCame(0.0))
                    race(request, model)

        self._at_work.add(run_id)
        try:
            again_if_discarded(run_elsewhere if _all_elsewhere(request) else run)
        finally:
            self._at_work.discard(run_id)
            stop.clear()

    def _in_room(self, model: LoadedModel, run: Callable[[], object]) -> None:
        """Run what may be refused for memory; once more if what earlier races kept in that memory could be let go."""
        try:
            run()
        except NoRoom:
            if model.device.type == "cuda" or not self._let_go():  # what is kept lies in main memory
                raise
            run()

    def _model_for_other_machines(self, request: RaceRequest, tell: Callable[[Progress], None]) -> LoadedModel:
        """Return the model of a race that takes no turn on the device: the one that is held, or one without weights."""
        name, held = request.model or self._device.default_model, self._device.held
        if held is not None and held.id == self._device.resolve(name).id and not self._device.only_default:
            return held
        return self._device.without_weights(name, tell)

    def _limited(self, request: Request, stop: CancelToken) -> TimeLimit:
        """Stop the run by itself when it has had the device for as long as the server allows."""
        seconds = self._limits.seconds(request)
        return TimeLimit(stop, seconds, f"was stopped after {seconds:,} s, the longest that this server runs one.")

    def _measure(
        self, request: MeasureRequest, run_id: str, tell: EventChannel[Any], stop: CancelToken, refused: str,
        prepare: Callable[[LoadedModel], LoadedModel],
    ) -> None:  # fmt: skip
        from kvdemo.measure import measurement  # noqa: PLC0415
        from kvdemo.server.run_events.measurement_feed import MeasurementFeed  # noqa: PLC0415

        relay = MeasurementFeed(tell)
        planned = self._planned

        def noting(state: State) -> None:
            if state.document and (sentence := why(limited)):
                notes = [*state.document["notes"], f"This measurement {sentence}"]
                state = replace(state, document=state.document | {"notes": notes})
            if state.document and (disturbed := self._planned - planned):
                # Planning is Python work, and a step that is launched from Python waits for it.
                note = f"The server worked out {count(disturbed, 'plan')} meanwhile: some steps may have waited."
                state = replace(state, document=state.document | {"notes": [*state.document["notes"], note]})
            relay(state)

        model, notes = self._model_for(request, tell, refused)
        prepare(model)
        limited = self._limited(request, stop)
        self._device.limit(self._limits.seconds(request))
        try:
            self._in_room(model, partial(measurement.run, request, model, run_id, noting, limited, notes))
        except BaseException:
            relay.broke_off()
            raise

    def _model_for(
        self, request: MeasureRequest, tell: EventChannel[Any], refused: str
    ) -> tuple[LoadedModel, tuple[str, ...]]:
        """Load the model asked for; for the classic table, the default model where GPT-2 cannot be had, with a note.

        `refused` says why its files are not here.
        """
        name = request.race.model or self._device.default_model
        try:
            if refused:
                raise BadInput(refused)
            return self._device.load(name, tell), ()
        except BadInput as error:
            if request.preset != "classic" or isinstance(error, Discarded):
                raise
            note = f"{name} could not be had, so this is {self._device.default_model}: {error}"
            return self._device.load(self._device.default_model, tell), (note,)


def _all_elsewhere(request: Request) -> bool:
    """Tell whether other machines compute all of a run, which then needs no turn on the device."""
    return isinstance(request, RaceRequest) and all(strategies.check(spec).elsewhere for spec in request.strategies)
