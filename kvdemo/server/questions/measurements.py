"""Find the documents of measurements, in the process that asks: the engine's has other things to do.

Those under way are the ones that passed by last. Those that are over are files, which may have some megabytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing
from typing import Any

from kvdemo.core.visitor import NOBODY, Visitor, one_visitors
from kvdemo.measure import store
from kvdemo.server.questions.pace import Pace

#: Of the documents that are kept (`store.MOST`), those of one address; its oldest go first.
MOST_OF_ADDRESS = 50

States = Generator[dict[str, Any], None, None]


class Measurements:
    """Documents by run id, and whose they are. `busy` tells whether there are runs.

    Whose they are stands in no document: it is known until the server ends.
    """

    def __init__(self, busy: Callable[[], bool]) -> None:
        self._pace = Pace(busy)
        self._under_way: dict[str, dict[str, Any] | None] = {}
        self._kept: dict[str, str] = {}  # the address of each, the oldest first

    def followed(self, states: States, run_id: str, visitor: Visitor = NOBODY) -> States:
        """Yield the states of a measurement, and know its document by them while it is under way."""
        self._under_way[run_id] = None
        try:
            with closing(states):
                for state in states:
                    if document := state["document"]:
                        self._under_way[run_id] = document
                        if store.is_worth_keeping(document):
                            self._share(run_id, one_visitors(visitor.address))
                    yield state
        finally:
            self._under_way.pop(run_id, None)

    def find(self, run_id: str) -> dict[str, Any] | None:
        """Return the document of a measurement, as far as it came; None if it is not kept."""
        if document := self._under_way.get(run_id):
            return document
        document = store.find(run_id)
        if document and document["status"] == "running" and run_id not in self._under_way:
            return document | {"status": "stopped"}  # the server was stopped, or the page was closed
        return document

    def paced(self, visitor: Visitor = NOBODY) -> AbstractContextManager[bool]:
        """Let one piece of work on a document begin at a time, addresses in turns, beside a run each after a rest."""
        return self._pace.taken(one_visitors(visitor.address))

    def _share(self, run_id: str, address: str) -> None:
        """Note whose document is kept, and delete the oldest of an address that has more than its share.

        Where there is room for no other, the address with the most loses its oldest, so nobody with few loses his.
        """
        if not address or run_id in self._kept:
            return
        self._kept[run_id] = address
        kept = self._kept.copy()
        of_each = Counter(kept.values())
        if of_each[address] > MOST_OF_ADDRESS:
            loses = address
        elif len(kept) >= store.MOST:  # the next one would end the oldest of all, whosever it is
            loses = max(of_each, key=of_each.__getitem__)
        else:
            return
        oldest = next(name for name, whose in kept.items() if whose == loses)
        store.delete(oldest)
        self._kept.pop(oldest, None)
