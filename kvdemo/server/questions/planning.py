"""Work on what a visitor sent, where no model is needed: configurations to plan with, and documents to compare.

What anybody may have written is worked on in a short-lived process with limits in time and memory. Whoever used least
of its time of late has the next turn at it.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import threading
import time
from collections.abc import Hashable
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kvdemo.compare import files
from kvdemo.core.errors import BadInput, NoTime
from kvdemo.core.system import public_server
from kvdemo.core.system.limited_process import ShortLived
from kvdemo.core.visitor import NOBODY, Visitor
from kvdemo.costs.planner import PlanRequest
from kvdemo.engine.timer import Clock
from kvdemo.models.facts import config_check
from kvdemo.models.names import catalog, folders
from kvdemo.server.device import DeviceLease, NeverStops
from kvdemo.server.questions.least_used import LeastUsed

if TYPE_CHECKING:
    from kvdemo.costs.architecture import Architecture

#: What works out an architecture; it imports transformers.
ARCHITECTURE = "kvdemo.models.facts.architecture"
#: Seconds for a configuration and for a comparison, and for the Hub, which is asked for a configuration (`PATIENCE_S`).
PLAN_SECONDS, COMPARE_SECONDS, HUB_SECONDS = 5.0, 5.0, 5.0
#: So many architectures and refusals are remembered, a refusal for so many seconds.
REMEMBERED, REFUSED_SECONDS = 64, 300.0
#: A configuration of more characters, white space aside, is not read here: that takes a tenth of a second for the
#: largest, during which no run takes a step. A config.json has some thousands.
READ_CHARACTERS = 50_000


class InTurn(ShortLived):
    """A short-lived process at which visitors take turns: whoever used it least comes next."""

    def _begin(self) -> None:
        super()._begin()
        self._turns = LeastUsed()

    def turn(self, visitor: Visitor) -> AbstractContextManager[object]:
        """Wait for a visitor's turn and hold it in this context."""
        return self._turns.turn(visitor.address or None)


class Remembered:
    """What the latest configurations came to, by a small key each: an architecture, or for some minutes a refusal."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._found: dict[Hashable, tuple[Architecture | str, float]] = {}  # and until when; the least used first

    def find(self, key: Hashable) -> Architecture | None:
        """Return the architecture, or None where it must be worked out. Raises BadInput as it was refused."""
        with self._guard:
            found, until = self._found.pop(key, ("", float("-inf")))
            if self._clock() >= until:
                return None
            self._found[key] = found, until
        if isinstance(found, str):
            raise BadInput(found)
        return found

    def add(self, key: Hashable, found: Architecture) -> None:
        """Remember an architecture."""
        self._add(key, found, float("inf"))

    def refuse(self, key: Hashable, sentence: str) -> None:
        """Remember a refusal."""
        self._add(key, sentence, self._clock() + REFUSED_SECONDS)

    def _add(self, key: Hashable, found: Architecture | str, until: float) -> None:
        with self._guard:
            self._found[key] = found, until
            if len(self._found) > REMEMBERED:
                del self._found[next(iter(self._found))]


PLANNER, COMPARER = InTurn(ARCHITECTURE), InTurn(files.__name__)
FOREIGN = Remembered()


def import_transformers(device: DeviceLease) -> None:
    """Import what works out an architecture, while nobody else has the device: two threads must not do it at once."""
    if ARCHITECTURE not in sys.modules:
        with device.acquire(lambda _: None, NeverStops()):
            importlib.import_module(ARCHITECTURE)


def plan(request: PlanRequest, device: DeviceLease, visitor: Visitor = NOBODY) -> dict[str, Any]:
    """Plan what a model's configuration needs of a machine; no weights are loaded. Raises BadInput."""
    if request.config is not None:
        config_check.refuse_long(request.config)
        return request.plan(foreign_shape("parse", request.config, visitor))
    name = request.model or device.default_model
    open_, known = device.trusts(name) or folders.allowed(), device.resolve(name)
    own = not public_server.is_public() or device.offers(known)
    if known.shape is not None or known.hub_id in catalog.SHAPES.values():
        return request.plan(shape(known.id, own=own))
    return request.plan(foreign_shape("from_hub", known.id, visitor, allow_folders=open_, own=own))


@lru_cache(maxsize=64)
def shape(name: str, *, own: bool) -> Architecture:
    """Return an architecture of kvdemo's own table, worked out once: it is Python work beside somebody's steps.

    `name` is an id, not what somebody typed: a model has many spellings.
    """
    from kvdemo.models.facts import architecture  # noqa: PLC0415

    return architecture.from_hub(name, own=own)


def foreign_shape(find: str, what: str, visitor: Visitor = NOBODY, **more: Any) -> Architecture:
    """Work out an architecture of a configuration that anybody wrote, in a process of its own. Raises BadInput.

    Of what is pasted a refusal is remembered, since it may have taken all of `PLAN_SECONDS`, but none that a busy
    computer is the reason of. Of what is named none is: a folder may be mended, and the Hub be reached again.
    """
    pasted = find == "parse"
    key = digest(what) if pasted else (what, *sorted(more.items()))
    if found := FOREIGN.find(key):
        return found
    with PLANNER.turn(visitor):
        if found := FOREIGN.find(key):  # asked for by whoever had a turn meanwhile
            return found
        function, seconds = f"{ARCHITECTURE}:{find}", PLAN_SECONDS + (0 if pasted else HUB_SECONDS)
        try:
            found = PLANNER.call("The configuration", function, what, seconds=seconds, **more)
        except BadInput as error:
            if pasted and not isinstance(error, NoTime):
                FOREIGN.refuse(key, str(error))
            raise
        FOREIGN.add(key, found)
        return found


def digest(config: str) -> bytes:
    """Hash a configuration as JSON says it, so that white space and spellings of characters make no other one.

    The order of keys does: where two keys mean the same, transformers takes the last. What is no JSON, and what is
    longer than `READ_CHARACTERS`, is hashed as it is.
    """
    written = config
    if len(config) - sum(map(config.count, " \t\r\n")) <= READ_CHARACTERS:
        try:
            written = json.dumps(json.loads(config), separators=(",", ":"))
        except (ValueError, RecursionError):
            written = config  # which is refused
    return hashlib.sha256(written.encode(errors="surrogatepass")).digest()


def compare(a: str | None, b: str | None, visitor: Visitor = NOBODY) -> dict[str, Any]:
    """Look at two files and compare them, as `files.compare_files` does. Raises BadInput beyond the limits."""
    with COMPARER.turn(visitor):
        found: dict[str, Any] = COMPARER.call(
            "The comparison", f"{files.__name__}:compare_files", a, b, seconds=COMPARE_SECONDS
        )
    return found
