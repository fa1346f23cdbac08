"""Order those who wait for the device: addresses take turns, and of one address who came first is served first."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass

from kvdemo.core.visitor import one_visitors

#: When something came: after how many who had no number, with which number, and as which one here.
Moment = tuple[int, int, int]
_FIRST: Moment = (-1, -1, -1)


@dataclass(frozen=True, eq=False)
class Ticket:
    """A place in the line: whose it is, and when he came."""

    of: object
    came: Moment


class Line:
    """Who has the device, and who waits for it behind him.

    They stand by how many runs of their address come before theirs. Among those with equally many, the address that
    waits longest is first: since its first run came, or since its last turn ended. So nobody waits for more than one
    run of each other address for each run of his own. Where each address has one run, all stand in order of arrival.
    """

    def __init__(self) -> None:
        self._line: list[Ticket] = []  # the first one has the device
        self._served: dict[object, Moment] = {}  # when the last turn of each address ended
        self._numbers = itertools.count()
        self._unnumbered = 0
        self._latest = 0

    def __len__(self) -> int:
        return len(self._line)

    def __contains__(self, ticket: Ticket) -> bool:
        return ticket in self._line

    def join(self, arrival: int | None = None, address: str | None = None) -> Ticket:
        """Stand in the line. `arrival` numbers those who came: who came earlier may join a moment later.

        Who has no number stands behind all that are here with as many runs before theirs, and nobody who joins later
        goes past him. Who has no address is a visitor of his own.
        """
        if arrival is None:
            self._unnumbered += 1
        else:
            self._latest = max(self._latest, arrival)
        number = next(self._numbers)
        came = self._unnumbered, -1 if arrival is None else arrival, number
        ticket = Ticket(number if address is None else one_visitors(address), came)
        self._line.append(ticket)
        self._sort()
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Leave the line, after a turn or without one."""
        if ticket is self._line[0]:  # so also who was stopped as his turn came
            self._served[ticket.of] = self._unnumbered, self._latest, next(self._numbers)
        self._line.remove(ticket)
        self._sort()

    def place(self, ticket: Ticket) -> int:
        """Return how many come first; 0 for who has the device."""
        return self._line.index(ticket)

    def _sort(self) -> None:
        if not self._line:
            self._served.clear()
            return
        has, *waiting = self._line
        before = Counter([has.of])
        since = {has.of: _FIRST}  # until its turn ends
        order: dict[Ticket, tuple[int, Moment]] = {}
        for ticket in sorted(waiting, key=lambda one: one.came):
            since.setdefault(ticket.of, max(ticket.came, self._served.get(ticket.of, _FIRST)))
            order[ticket] = before[ticket.of], since[ticket.of]
            before[ticket.of] += 1
        self._line = [has, *sorted(waiting, key=order.__getitem__)]
        oldest = min((moment for of, moment in since.items() if of != has.of), default=None)
        self._served = {  # what is older than all who wait makes no difference
            of: ended for of, ended in self._served.items() if of in since or (oldest and ended > oldest)
        }
