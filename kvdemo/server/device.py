"""Own the loaded model and the device lock, which all visitors share.

Torch and transformers are imported with the first model, not with this module: that takes seconds, and the page should
be up before.
"""

from __future__ import annotations

import importlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kvdemo.core.cancellation import CancelToken
from kvdemo.core.errors import BadInput, Discarded
from kvdemo.core.events import Progress, RaceEvent, TurnCame
from kvdemo.engine import openmp
from kvdemo.models.names import catalog, folders, offered
from kvdemo.server.turns import Turns

if TYPE_CHECKING:
    from kvdemo.models.loaded import LoadedModel
    from kvdemo.models.resident_model import ResidentModel

log = logging.getLogger(__name__)


class NeverStops:
    """A stop signal that is never set."""

    def is_set(self) -> bool:
        return False

    def set(self) -> None:
        raise NotImplementedError


def again_if_discarded(load: Callable[[], None]) -> None:
    """Fetch and load a model; do both again where its files could not be loaded and were thrown away."""
    try:
        load()
    except Discarded:
        load()


class DeviceLease:
    """Holds the model that was used last, and gives the device to one thread at a time.

    `only_default` refuses every model but the default one.
    """

    def __init__(self, default_model: str, *, device: str, dtype: str, only_default: bool) -> None:
        self.default_model, self.only_default = default_model, only_default
        self._device, self._dtype = device, dtype
        self._resident: ResidentModel | None = None
        self._importing = threading.Lock()
        self._turns = Turns()
        self._status: dict[str, Any] = {"state": "loading", "text": "Starting", "fraction": None, "model": None}

    def preload(
        self,
        try_out: Callable[[LoadedModel], None],
        fetch: Callable[[str, Callable[[Progress], None], CancelToken], None],
    ) -> None:
        """Load the default model and try it out; `status()` tells how far it is, and why it failed if it did.

        `fetch` downloads its files before it has the device.
        """

        def load() -> None:
            fetch(self.default_model, self._note, NeverStops())
            with self.acquire(self._note, NeverStops()):
                model = self._get(self.default_model, self._note)
                self._note(Progress("Taking the first steps"))
                try_out(model)
                self._ready(model)
                importlib.import_module("kvdemo.models.facts.architecture")  # a plan then need not wait for a turn

        try:
            again_if_discarded(load)
        except BadInput as error:
            self._failed(str(error))
        except Exception:
            log.exception("the model could not be loaded")
            self._failed(f"{self.default_model} could not be loaded: the server's log says why; choose another model.")

    def _failed(self, text: str) -> None:
        if self.held:  # a visitor's, who raced on it meanwhile
            log.warning("%s", text)
            return
        self._status = {"state": "failed", "text": text, "fraction": None, "model": None}

    def status(self) -> dict[str, Any]:
        """Say which model is held, or what is being done to get one."""
        return dict(self._status)

    @property
    def held(self) -> LoadedModel | None:
        """The model that is loaded."""
        return self._resident.current if self._resident else None

    def check(self, name: str | None, *, fallback: bool = False) -> None:
        """Raise BadInput for a model that is no visitor's to name: not the default one, and not `offered`."""
        if fallback or name is None or (wanted := self.resolve(name)).id == self.resolve(self.default_model).id:
            return
        if self.only_default:
            raise BadInput(f"This server runs {self.default_model} only: choose that model.")
        offered.check(wanted)

    def offers(self, wanted: catalog.Name) -> bool:
        """Tell whether the operator offers a model by its name: it is the default one, or on the list."""
        return wanted.id == self.resolve(self.default_model).id or offered.lists(wanted)

    def trusts(self, name: str) -> bool:
        """Tell whether the operator named a model: it may be a folder where visitors may not name one."""
        return name == self.default_model or offered.names(name)

    def resolve(self, name: str) -> catalog.Name:
        """Resolve what a visitor typed, as `catalog.resolve` does. Raises BadInput."""
        return catalog.resolve(name, folders=self.trusts(name) or folders.allowed())

    def load(self, name: str, progress: Callable[[Progress], None]) -> LoadedModel:
        """Load a model from the disk, unless it is held. The caller has the device. Raises BadInput."""
        model = self._get(name, progress)
        self._ready(model)
        return model

    def without_weights(self, name: str, progress: Callable[[Progress], None]) -> LoadedModel:
        """Read a model's tokenizer and shape from the disk, for what other machines compute. Raises BadInput.

        Nobody's turn on the device is waited for: it is not used.
        """
        self.check(name)
        self._models()
        from kvdemo.models import loading  # noqa: PLC0415
        from kvdemo.models.sources import find  # noqa: PLC0415

        source = find.find(
            name, progress, allow_folders=self.trusts(name) or folders.allowed(), download=False, weights=False
        )
        return loading.read_without_weights(self.resolve(name).id, source, dtype=self._dtype)

    def _models(self) -> ResidentModel:
        """Import what models need, in one thread at a time: two that import transformers at once trip over each other.

        Each turn begins with it, and so does what takes none.
        """
        with self._importing:
            if self._resident is None:
                from kvdemo.models.resident_model import ResidentModel  # noqa: PLC0415

                importlib.import_module("kvdemo.race.session")
                self._resident = ResidentModel(device=self._device, dtype=self._dtype)
            return self._resident

    def _get(self, name: str, progress: Callable[[Progress], None]) -> LoadedModel:
        self.check(name)
        return self._models().get(name, progress=progress, trusted=self.trusts(name), download=False)

    def _ready(self, model: LoadedModel) -> None:
        self._status = {"state": "ready", "text": "Ready", "fraction": 1.0, "model": model.facts()}

    def _note(self, event: RaceEvent) -> None:
        if isinstance(event, Progress):
            self._status = {"state": "loading", "text": event.text, "fraction": event.fraction, "model": None}

    @contextmanager
    def acquire(
        self,
        tell: Callable[[Progress | TurnCame], None],
        stop: CancelToken,
        arrival: int | None = None,
        address: str | None = None,
    ) -> Iterator[Callable[[], None]]:
        """Hold the device, in turn (`Turns`), until the function that this yields is called or the block ends.

        The thread that decodes holds it, so that it is free only when the last step is over. That thread may live on
        beside the next one: it keeps no OpenMP threads, which would make the other's steps slower.
        """
        began = time.monotonic()
        with self._turns.take(lambda text: tell(Progress(text)), stop, arrival, address) as give_back:

            def release() -> None:
                openmp.end_threads()  # first: the next one begins at once
                give_back()

            try:
                if not stop.is_set():
                    tell(TurnCame(time.monotonic() - began))
                    self._models()
                yield release
            finally:
                openmp.end_threads()

    def limit(self, seconds: float) -> None:
        """Say for how many seconds from now the run that has the device may have it."""
        self._turns.limit(seconds)

    def overdue(self) -> float:
        """Return for how many seconds a run has held the device beyond its limit or Stop."""
        return self._turns.overdue()
