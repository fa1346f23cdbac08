"""Keep the keys and values of a race for the next one, whose prompt may begin with the same text.

Each page has a store of its own. A store holds one run, the latest. No page finds what another page kept, because time
to first token would tell whether somebody had run the same beginning before (Gu et al. 2025, arXiv:2502.07776, found
APIs that revealed it about strangers). A store is named by its page's session: a random id that the browser makes, and
that is part of no form, link or document. The store is dropped when the page is closed. Its entry is dropped with the
model that wrote it.

Entries lie in main memory, also where the model is on a GPU: a lane, another model or a measurement needs the GPU's
memory more. The next race copies what it reuses back, within its time to first token.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from kvdemo.core.figures import units
from kvdemo.core.system import freed_memory

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel

    from kvdemo.caches.legacy_format import Legacy
    from kvdemo.models.loaded import LoadedModel

#: Of keys and values, over all pages. About 20,000 positions of the default model.
MOST_BYTES = 1_000_000_000
MOST_PAGES = 256


@dataclass(frozen=True, slots=True)
class PrefixRun:
    """Figures of the run that wrote the keys and values: TTFT in seconds, prompt tokens, and how many it reused."""

    ttft_s: float
    prompt_tokens: int
    reused: int = 0


@dataclass(frozen=True, slots=True)
class PrefixEntry:
    """Keys and values of one text.

    ids    its tokens, one for each position
    pairs  for each layer keys and values, each of shape (1, kv_heads, positions, head_dim), in main memory; never
           written to
    run    its figures; None if they are not known
    """

    ids: tuple[int, ...]
    pairs: Legacy = field(repr=False)
    run: PrefixRun | None = None

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for pair in self.pairs for tensor in pair)

    @property
    def amount(self) -> str:
        """State its size in words: positions and bytes."""
        return f"{units.count(len(self.ids), 'position')} ({units.amount(self.bytes, 'B')})"

    def common(self, ids: Sequence[int]) -> int:
        """Count the tokens that a prompt has in common with this text, from the first on."""
        unequal = (n for n, (ours, theirs) in enumerate(zip(self.ids, ids, strict=False)) if ours != theirs)
        return next(unequal, min(len(self.ids), len(ids)))


@dataclass
class PrefixSlot:
    """Passes keys and values between one lane and a store: `found` goes to the lane, the rest comes from it.

    The lane sets `cache` and the tokens that it holds, `ids`, in each step. They are read when the race is over.
    """

    found: PrefixEntry | None = None
    ids: Sequence[int] = ()
    cache: Cache | None = None


class PrefixStore(Protocol):
    """Gives a race what an earlier one kept, and takes what it leaves when it is over."""

    def find(self, model: LoadedModel) -> PrefixEntry | None:
        """Return what was kept of this model; None if nothing. Raises BadInput for what cannot be used."""

    def put(self, model: LoadedModel, kept: PrefixEntry) -> str:
        """Keep this instead. Returns a sentence on where it is now, or why it is not kept. Raises BadInput."""


class SessionPrefixes:
    """The stores of all open pages. Over `most_bytes`, the page that raced longest ago loses its entry."""

    def __init__(self, most_bytes: int = MOST_BYTES, most_pages: int = MOST_PAGES) -> None:
        self._most_bytes, self._most_pages = most_bytes, most_pages
        self._stores: OrderedDict[str, _SessionStore] = OrderedDict()
        self._racing: Counter[str] = Counter()
        self._lock = threading.Lock()

    def for_session(self, page: str) -> PrefixStore:
        """Return the store of a page whose race begins."""
        with self._lock:
            store = self._stores.setdefault(page, _SessionStore(self, page))
            self._stores.move_to_end(page)
            while len(self._stores) > self._most_pages and (spare := self._spare()):
                del self._stores[spare]
            return store

    @contextmanager
    def for_race(self, page: str) -> Iterator[PrefixStore]:
        """Yield the store of a page during its race. Others' races do not drop it meanwhile."""
        with self._lock:
            self._racing[page] += 1
        try:
            yield self.for_session(page)
        finally:
            with self._lock:
                self._racing -= Counter([page])

    def _spare(self) -> str | None:
        """Name the page to drop: one that nothing is kept for, or else the one that raced longest ago."""
        newest = next(reversed(self._stores))
        spare = [store for page, store in self._stores.items() if page != newest and page not in self._racing]
        return min(spare, key=lambda store: store.bytes > 0).page if spare else None

    def drop(self, page: str) -> None:
        """Drop the store of a page that was closed. A race of it that still runs will keep nothing."""
        with self._lock:
            self._stores.pop(page, None)

    def let_go(self) -> bool:
        """Drop what is kept for all pages, because its memory is needed; returns whether there was anything."""
        with self._lock:
            found = self.bytes > 0
            for store in self._stores.values():
                store.held.clear()
        if found:
            freed_memory.give_back()
        return found

    @property
    def bytes(self) -> int:
        return sum(store.bytes for store in list(self._stores.values()))

    def put(self, store: _SessionStore, network: PreTrainedModel, kept: PrefixEntry) -> str:
        """Put a run into a store, and make room for it in others. Returns a sentence, as `PrefixStore.put` does."""
        with self._lock:
            if self._stores.get(store.page) is not store:
                return "Nothing is kept of it: its page is no longer known."
            if kept.bytes > self._most_bytes:
                room = units.amount(self._most_bytes, "B")
                return f"Its {kept.amount} are not kept: there is room for {room}, over all pages."
            store.held.clear()
            store.held[network] = kept
            for other in self._stores.values():
                if self.bytes <= self._most_bytes:
                    break
                if other is not store:
                    other.held.clear()
        return f"Its {kept.amount} are kept for the next race of this page: a prompt that begins the same skips them."


class _SessionStore:
    """One page's store. Its entry is dropped as soon as the model is no longer in memory."""

    def __init__(self, prefixes: SessionPrefixes, page: str) -> None:
        self._prefixes, self.page = prefixes, page
        self.held: WeakKeyDictionary[PreTrainedModel, PrefixEntry] = WeakKeyDictionary()

    @property
    def bytes(self) -> int:
        return sum(kept.bytes for kept in list(self.held.values()))

    def find(self, model: LoadedModel) -> PrefixEntry | None:
        return self.held.get(model.network)

    def put(self, model: LoadedModel, kept: PrefixEntry) -> str:
        return self._prefixes.put(self, model.network, kept)
