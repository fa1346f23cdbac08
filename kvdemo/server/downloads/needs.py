"""Have the files that a run needs on the disk before it waits for the device, so that others run meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kvdemo import strategies
from kvdemo.core.cancellation import CancelToken
from kvdemo.core.errors import BadInput
from kvdemo.core.events import Progress
from kvdemo.core.settings.inside import InsideRequest
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.settings.request import Request
from kvdemo.core.settings.validation import show
from kvdemo.core.system import public_server
from kvdemo.models.names import catalog
from kvdemo.server.downloads.shared import Downloads
from kvdemo.strategies.draft import draft_name

if TYPE_CHECKING:
    from kvdemo.server.device import DeviceLease


@contextmanager
def on_disk(
    downloads: Downloads, device: DeviceLease, request: Request, tell: Callable[[Progress], None], stop: CancelToken,
    *, weights: bool = True,
) -> Iterator[str]:  # fmt: skip
    """Download what a run's models lack; none of it is removed before the block ends.

    Without `weights` their configuration and tokenizer are enough: other machines compute.
    Raises BadInput for a model that cannot be had. A measurement of the classic table does without it: yields why.
    """
    race = request.race if isinstance(request, MeasureRequest) else request
    wanted = device.resolve(race.model or device.default_model)
    refused = ""
    with downloads.needed() as fetch:

        def have(name: catalog.Name) -> None:
            if name.hub_id:
                limited = public_server.is_public() and name.id != device.resolve(device.default_model).id
                fetch(name.hub_id, tell, stop, limited=limited, weights=weights)

        try:
            have(wanted)
        except BadInput as error:
            if not (isinstance(request, MeasureRequest) and request.preset == "classic"):
                raise
            refused = str(error)
            have(device.resolve(device.default_model))
        for draft in _drafts(race, wanted.id):
            if not stop.is_set() and not device.only_default:  # no other model is loaded there
                with contextlib.suppress(BadInput):  # its lane says so; the others run
                    have(draft)
        yield refused


def check_drafts(device: DeviceLease, request: RaceRequest) -> None:
    """Raise BadInput for a draft model that a lane names and that is no visitor's to name, as a model is refused."""
    for spec in request.strategies:
        draft = strategies.read(spec)[1].get("draft", draft_name.AUTO)
        if draft != draft_name.AUTO and not device.only_default:  # there the lane says why it takes no draft model
            try:
                device.check(str(draft))
            except BadInput as error:
                raise BadInput(f"The lane {show(spec)} cannot run: {error}") from error


def _drafts(request: RaceRequest | InsideRequest, model_id: str) -> list[catalog.Name]:
    """Find the draft models of a run's lanes."""
    if isinstance(request, InsideRequest):
        return []
    asked = [values["draft"] for _, values, _ in map(strategies.read, request.strategies) if "draft" in values]
    named = [draft_name.name_for(model_id, str(one)) for one in asked]
    return [catalog.resolve(name) for name in dict.fromkeys(named) if name]
