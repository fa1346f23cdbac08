"""Work on what a visitor sent, where no model is needed: configurations to plan with, and documents to compare.

What anybody may have written is worked on in a short-lived process with limits in time and memory.
"""

from __future__ import annotations

import importlib
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kvdemo.compare import files
from kvdemo.core.system import public_server
from kvdemo.core.system.limited_process import ShortLived
from kvdemo.costs.planner import PlanRequest
from kvdemo.models.names import catalog, folders
from kvdemo.server.device import DeviceLease, NeverStops

if TYPE_CHECKING:
    from kvdemo.costs.architecture import Architecture

#: What works out an architecture; it imports transformers.
ARCHITECTURE = "kvdemo.models.facts.architecture"
#: Seconds for a configuration and for a comparison, and for the Hub, which is asked for a configuration (`PATIENCE_S`).
PLAN_SECONDS, COMPARE_SECONDS, HUB_SECONDS = 5.0, 5.0, 5.0
PLANNER, COMPARER = ShortLived(ARCHITECTURE), ShortLived(files.__name__)


def import_transformers(device: DeviceLease) -> None:
    """Import what works out an architecture, while nobody else has the device: two threads must not do it at once."""
    if ARCHITECTURE not in sys.modules:
        with device.acquire(lambda _: None, NeverStops()):
            importlib.import_module(ARCHITECTURE)


def plan(request: PlanRequest, device: DeviceLease) -> dict[str, Any]:
    """Plan what a model's configuration needs of a machine; no weights are loaded. Raises BadInput."""
    if request.config is not None:
        return request.plan(foreign_shape("parse", request.config))
    name = request.model or device.default_model
    open_, known = device.trusts(name) or folders.allowed(), device.resolve(name)
    own = not public_server.is_public() or device.offers(known)
    if known.shape is not None or known.hub_id in catalog.SHAPES.values():
        return request.plan(shape(known.id, own=own))
    return request.plan(foreign_shape("from_hub", known.id, allow_folders=open_, own=own))


@lru_cache(maxsize=64)
def shape(name: str, *, own: bool) -> Architecture:
    """Return an architecture of kvdemo's own table, worked out once: it is Python work beside somebody's steps.

    `name` is an id, not what somebody typed: a model has many spellings.
    """
    from kvdemo.models.facts import architecture  # noqa: PLC0415

    return architecture.from_hub(name, own=own)


@lru_cache(maxsize=64)
def foreign_shape(find: str, what: str, **more: Any) -> Architecture:
    """Work out an architecture of a configuration that anybody wrote, in a process of its own. Raises BadInput."""
    function = f"{ARCHITECTURE}:{find}"
    seconds = PLAN_SECONDS + (HUB_SECONDS if find == "from_hub" else 0)
    found: Architecture = PLANNER.call("The configuration", function, what, seconds=seconds, **more)
    return found


def compare(a: str | None, b: str | None) -> dict[str, Any]:
    """Look at two files and compare them, as `files.compare_files` does. Raises BadInput beyond the limits."""
    found: dict[str, Any] = COMPARER.call(
        "The comparison", f"{files.__name__}:compare_files", a, b, seconds=COMPARE_SECONDS
    )
    return found
