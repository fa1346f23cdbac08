"""Limit how many runs wait, over all visitors and for each one, so that nobody takes all places."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kvdemo.core.errors import BadInput
from kvdemo.core.figures.units import count
from kvdemo.core.shares import Quota
from kvdemo.core.visitor import Visitor, one_visitors

if TYPE_CHECKING:
    from kvdemo.server.limits import Limits


class Admission:
    """The places for runs, of which each run holds one from the moment that it is asked for until it ends."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._guard = threading.Lock()
        self._held: list[Visitor] = []

    @property
    def held(self) -> int:
        """How many places are taken."""
        return len(self._held)

    @contextmanager
    def place(self, visitor: Visitor) -> Iterator[None]:
        """Hold a place. Raises BadInput with what to do, where the visitor or all together have as many as they may."""
        with self._guard:
            self._check(visitor)
            self._held.append(visitor)
        try:
            yield
        finally:
            with self._guard:
                self._held.remove(visitor)

    def _check(self, visitor: Visitor) -> None:
        limits = self._limits
        of_session = sum(visitor.session == other.session for other in self._held)
        address = one_visitors(visitor.address)
        addresses = [one_visitors(other.address) for other in self._held]
        if visitor.session and of_session >= limits.runs_of_session:
            raise BadInput(
                f"You have {count(of_session, 'run')} under way or waiting, as many as one visitor may: stop one, or "
                "wait until one has ended."
            )
        if visitor.address and not Quota(limits.runs_of_address, limits.runs).has_place(address, addresses):
            raise BadInput(
                f"{count(addresses.count(address), 'run')} from your address are under way or wait, as many as one "
                "address may have now: try again when one of them has ended."
            )
        if len(self._held) >= limits.runs:
            raise BadInput(
                f"{count(len(self._held), 'run')} are under way or wait on this server, as many as it lets wait: try "
                "again in a few minutes."
            )
