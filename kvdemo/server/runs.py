"""Start runs, each on a thread of its own (`kvdemo.server.run`), stop them, and learn how long their steps take.

Modules that need torch are imported with the first model, not with this module.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing, nullcontext
from typing import TYPE_CHECKING, Any

from kvdemo.caches.prefix_store import PrefixStore
from kvdemo.core.cancellation import CancelFiles, CancelToken
from kvdemo.core.events import PanelsShown, Progress
from kvdemo.core.settings.request import Request
from kvdemo.core.system import public_server
from kvdemo.core.visitor import NOBODY, Visitor
from kvdemo.measure.duration_forecast import StepTimeModel
from kvdemo.server.admission import Admission
from kvdemo.server.device import DeviceLease
from kvdemo.server.downloads.shared import Downloads
from kvdemo.server.questions.crowding import Crowding
from kvdemo.server.run import Asked, Disturbances, Run, Shared, all_elsewhere
from kvdemo.server.run_events.batches import EventChannel, batches

if TYPE_CHECKING:
    from kvdemo.server.limits import Limits

#: What happens in a run, a few times a second: a race's `RaceEvent`s, a measurement's `Progress` and `State`,
#: the `Progress` and `PanelsShown` of Inside.
Batches = Generator[list[Any], None, None]
BatchesOf = Callable[[Request, str, Asked], Batches]
#: For a run of no page.
NO_STORE = nullcontext(None)


class Runs:
    """Start runs, know which ones are under way, and learn from their documents how long steps take.

    `device` lends the device and the model. `on_gpu` wraps the generator function that needs the device, as
    `spaces.GPU` does on ZeroGPU. `limits` says how long a run may take. `let_go` frees memory that earlier
    races left something in, and returns whether there was any.
    """

    def __init__(
        self, device: DeviceLease, on_gpu: Callable[[BatchesOf], BatchesOf], limits: Limits, let_go: Callable[[], bool]
    ) -> None:
        downloads = Downloads(limits, lambda: device.held.id if device.held else None)
        self._shared = Shared(device, downloads, limits, let_go, self._disturbances)
        self._batches = on_gpu(self._on_thread)
        self._flags, self._admission = CancelFiles(), Admission(limits)
        self._under_way: dict[str, PrefixStore | None] = {}
        self._at_work: set[str] = set()
        self._costs: tuple[str, StepTimeModel] | None = None
        self._planned = 0
        self.questions = Crowding()

    def fetch(self, model: str, tell: Callable[[Progress], None], stop: CancelToken) -> None:
        """Download the operator's model unless it is here; runs that need it share the download. Raises BadInput."""
        hub_id = self._shared.device.resolve(model).hub_id
        with self._shared.downloads.needed() as fetch:
            if hub_id:
                fetch(hub_id, tell, stop, limited=False, best=True)

    @property
    def count(self) -> int:
        """Runs that have begun or wait for the device."""
        return self._admission.held

    def close(self) -> None:
        """Leave no file behind; call it when the server ends."""
        self._flags.close()

    def stop(self, run_id: str) -> None:
        """End a run after the step that it is in. One that is asked for later under this id ends before its first."""
        self._flags.of(run_id).set()

    def start(
        self,
        request: Request,
        run_id: str,
        visitor: Visitor = NOBODY,
        of_page: AbstractContextManager[PrefixStore | None] = NO_STORE,
    ) -> Batches:
        """Yield what happens in a run, and learn from its document. Raises BadInput where there is no place for it.

        Only a run that has a place opens the prefix store `of_page`.
        """
        with self._admission.place(visitor), of_page as prefix_store:
            self._under_way[run_id] = prefix_store
            shown = prefix_store is not None
            here = shown and not visitor.address and not public_server.is_public()
            asked = Asked(visitor.arrival, visitor.address, shown, here)
            try:
                on_device = self._on_thread if all_elsewhere(request) else self._batches
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

    def _disturbances(self) -> Disturbances:
        return Disturbances(self._planned, self.questions.beyond, self.questions.seconds_beyond)

    def _on_thread(self, request: Request, run_id: str, asked: Asked) -> Batches:
        """Run on a thread of its own; on ZeroGPU in a process of its own, too, where a GPU is lent to it.

        That process may have been made for an earlier run, and then knows of this one what is given here. Neither a
        model that is being loaded nor a chat template looks at Stop: whoever has stopped his run waits for neither.
        """
        stop, prepared = self._flags.of(run_id), threading.Event()
        run = Run(self._shared, request, run_id, asked, self._under_way.get(run_id), stop, prepared)

        def work(tell: EventChannel[Any]) -> None:
            self._at_work.add(run_id)
            try:
                run.work(tell)
            finally:
                self._at_work.discard(run_id)
                stop.clear()

        return batches(work, stop, given_up=lambda: stop.is_set() and not prepared.is_set())
