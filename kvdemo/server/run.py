"""Do what one run asks for: have the model's files, wait for the device, load the model, race, measure or look inside.

Modules that need torch are imported with the first model, not with this module.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from kvdemo import strategies
from kvdemo.caches.prefix_store import PrefixStore
from kvdemo.core.cancellation import CancelToken, TimeLimit, why
from kvdemo.core.errors import BadInput, Discarded, NoRoom
from kvdemo.core.events import TurnCame
from kvdemo.core.figures.units import count
from kvdemo.core.settings.inside import InsideRequest
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.settings.request import Request
from kvdemo.server.device import DeviceLease, again_if_discarded
from kvdemo.server.downloads.needs import on_disk
from kvdemo.server.downloads.shared import Downloads
from kvdemo.server.questions.crowding import MOST_A_SECOND, MOST_SECONDS
from kvdemo.server.run_events.batches import EventChannel
from kvdemo.server.run_events.race_feed import RaceFeed, is_disturbed

if TYPE_CHECKING:
    from kvdemo.measure.state import State
    from kvdemo.models.loaded import LoadedModel
    from kvdemo.server.limits import Limits

#: A run may load its model and make its prompt for so long at least, however short the operator lets it compute.
LOADING_SECONDS = 900.0


@dataclass(frozen=True)
class Asked:
    """What a run has from who asked for it, beside the request.

    arrival  its place in the order of arrival
    address  whose run it is, by which the device is shared out; no log has it
    shown    whether a page looks on, which asks what each token was chosen from
    here     whether that page is on this machine
    """

    arrival: int | None = None
    address: str = field(default="", repr=False)
    shown: bool = False
    here: bool = False


@dataclass(frozen=True)
class Disturbances:
    """What a server does in Python beside a run: a step that is launched from Python waits for it.

    plans      that were calculated
    questions  that were too many for their second (`questions.crowding`)
    seconds    of CPU that questions took, beyond what they may take of each second
    """

    plans: int
    questions: int
    seconds: float

    def notes_since(self, earlier: Disturbances) -> list[str]:
        """Say what came since then, each kind in a sentence."""
        plans, questions = self.plans - earlier.plans, self.questions - earlier.questions
        notes = []
        if plans:
            notes.append(f"The server worked out {count(plans, 'plan')} meanwhile: some steps may have waited.")
        if questions:
            notes.append(
                f"The server was asked {count(questions, 'question')} beyond {MOST_A_SECOND} a second meanwhile: some "
                "steps may have waited."
            )
        if (seconds := self.seconds - earlier.seconds) > 0:
            notes.append(
                f"Questions to the server took {seconds:.2g} s of its computing time beyond {MOST_SECONDS:.0%} of each "
                "second meanwhile: some steps may have waited."
            )
        return notes


@dataclass(frozen=True)
class Shared:
    """What all runs of a server share.

    device        lends the device and the model
    downloads     fetches the files of models
    limits        says how long a run may take
    let_go        frees memory that earlier races left something in; returns whether there was any
    disturbances  counts so far what steps that are launched from Python may wait for
    """

    device: DeviceLease
    downloads: Downloads
    limits: Limits
    let_go: Callable[[], bool]
    disturbances: Callable[[], Disturbances]


@dataclass(frozen=True)
class Run:
    """One run. It looks at `stop` once `prepared` is set: when the model is loaded and the prompt is made."""

    shared: Shared
    request: Request
    run_id: str
    asked: Asked
    prefix_store: PrefixStore | None
    stop: CancelToken
    prepared: threading.Event

    def work(self, tell: EventChannel[Any]) -> None:
        """Do all of it and tell what happens. Raises BadInput where it cannot be done."""
        again_if_discarded(partial(self._elsewhere if all_elsewhere(self.request) else self._on_device, tell))

    def _on_device(self, tell: EventChannel[Any]) -> None:
        device = self.shared.device
        with (
            on_disk(self.shared.downloads, device, self.request, tell, self.stop) as refused,
            device.acquire(tell, self.stop, self.asked.arrival, self.asked.address) as release,
        ):
            tell.flush()  # that its turn came is known before it can end this process
            if self.stop.is_set():
                return
            device.limit(max(LOADING_SECONDS, self.shared.limits.seconds(self.request)))
            # Under the turn: two threads that import transformers at once trip over each other.
            if isinstance(self.request, MeasureRequest):
                self._measure(self.request, tell, refused)
                return
            model = self._prepare(device.load(self.request.model or device.default_model, tell))
            device.limit(self.shared.limits.seconds(self.request))
            if isinstance(self.request, InsideRequest):
                from kvdemo.inside import session as inside  # noqa: PLC0415

                inside.run(self.request, model, tell, self._limited())
            else:
                self._race(self.request, model, tell, release)

    def _elsewhere(self, tell: EventChannel[Any]) -> None:
        """Race lanes that other machines compute: no turn on the device is taken."""
        assert isinstance(self.request, RaceRequest)  # noqa: S101 - nothing else runs on other machines
        with on_disk(self.shared.downloads, self.shared.device, self.request, tell, self.stop, weights=False):
            if not self.stop.is_set():
                model = self._prepare(self._model_for_other_machines(self.request, tell))
                tell(TurnCame(0.0))
                self._race(self.request, model, tell)

    def _prepare(self, model: LoadedModel) -> LoadedModel:
        of_race = self.request.race if isinstance(self.request, MeasureRequest) else self.request
        model.prompt(of_race.prompt, chat=of_race.chat)  # rendered here once, and known to what comes
        self.prepared.set()
        return model

    def _race(
        self, request: RaceRequest, model: LoadedModel, tell: EventChannel[Any],
        release: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        from kvdemo.race import session  # noqa: PLC0415

        disturbed = not all_elsewhere(request) and is_disturbed(request.schedule, model.device)
        feed = RaceFeed(tell, rests=self.asked.here and disturbed)

        def leave() -> None:
            feed.leave()
            release()

        self._in_room(
            model,
            partial(
                session.run, request, model, feed, self._limited(), self.prefix_store,
                with_candidates=self.asked.shown, release=leave, make_room=self.shared.let_go,
            ),
        )  # fmt: skip

    def _measure(self, request: MeasureRequest, tell: EventChannel[Any], refused: str) -> None:
        from kvdemo.measure import measurement  # noqa: PLC0415
        from kvdemo.server.run_events.measurement_feed import MeasurementFeed  # noqa: PLC0415

        relay = MeasurementFeed(tell)
        before = self.shared.disturbances()

        def noting(state: State) -> None:
            if state.document and (sentence := why(limited)):
                state = _noted(state, f"This measurement {sentence}")
            if state.document:
                state = _noted(state, *self.shared.disturbances().notes_since(before))
            relay(state)

        model, notes = self._model_to_measure(request, tell, refused)
        self._prepare(model)
        limited = self._limited()
        self.shared.device.limit(self.shared.limits.seconds(request))
        try:
            self._in_room(model, partial(measurement.run, request, model, self.run_id, noting, limited, notes))
        except BaseException:
            relay.broke_off()
            raise

    def _in_room(self, model: LoadedModel, run: Callable[[], object]) -> None:
        """Run what may be refused for memory; once more if what earlier races kept in that memory could be let go."""
        try:
            run()
        except NoRoom:
            if model.device.type == "cuda" or not self.shared.let_go():  # what is kept lies in main memory
                raise
            run()

    def _limited(self) -> TimeLimit:
        """Stop the run by itself when it has taken as long as the server allows, counted from now."""
        seconds = self.shared.limits.seconds(self.request)
        sentence = f"was stopped after {seconds:,} s, the longest that this server runs one."
        return TimeLimit(self.stop, seconds, sentence)

    def _model_for_other_machines(self, request: RaceRequest, tell: EventChannel[Any]) -> LoadedModel:
        """Return the model of a race that takes no turn on the device: the one that is held, or one without weights."""
        device = self.shared.device
        name, held = request.model or device.default_model, device.held
        if held is not None and held.id == device.resolve(name).id and not device.only_default:
            return held
        return device.without_weights(name, tell)

    def _model_to_measure(
        self, request: MeasureRequest, tell: EventChannel[Any], refused: str
    ) -> tuple[LoadedModel, tuple[str, ...]]:
        """Load the model asked for; for the classic table, the default model where GPT-2 cannot be had, with a note.

        `refused` says why its files are not here.
        """
        device = self.shared.device
        name = request.race.model or device.default_model
        try:
            if refused:
                raise BadInput(refused)
            return device.load(name, tell), ()
        except BadInput as error:
            if request.preset != "classic" or isinstance(error, Discarded):
                raise
            note = f"{name} could not be had, so this is {device.default_model}: {error}"
            return device.load(device.default_model, tell), (note,)


def all_elsewhere(request: Request) -> bool:
    """Tell whether other machines compute all of a run, which then needs no turn on the device."""
    return isinstance(request, RaceRequest) and all(strategies.check(spec).elsewhere for spec in request.strategies)


def _noted(state: State, *notes: str) -> State:
    assert state.document is not None  # noqa: S101 - the caller has looked
    return replace(state, document=state.document | {"notes": [*state.document["notes"], *notes]})
