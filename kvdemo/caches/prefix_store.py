"""What a race leaves for the next one: the keys and values of its text, for a prompt that begins as that text did.

Each page has a store of its own, and a store holds one run, the latest. Nobody finds what another page kept: time to
first token tells whether somebody had run the same beginning before (Gu et al. 2025, arXiv:2502.07776, found APIs that
told it about strangers), and what is never looked for cannot be told. A store is named by its page's session: a random
id that the browser makes, and that is part of no form, link or document. It goes when the page is closed, and what is
on it goes with the model that wrote it.

What is kept lies in main memory, also where the model is on a GPU: a lane, another model or a measurement needs the
GPU's memory more. The next race copies what it reuses back, within its time to first token.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from kvdemo.core import units

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel

    from kvdemo.caches.cache_file import Legacy
    from kvdemo.models.loaded import LoadedModel

#: Of keys and values, over all pages. About 20,000 positions of the default model.
MOST_BYTES = 1_000_000_000
MOST_PAGES = 256


@dataclass(frozen=True, slots=True)
class PrefixRun:
    """What the run that wrote the keys and values had to report: TTFT in seconds, prompt tokens, those it reused."""

    ttft_s: float
    prompt_tokens: int
    reused: int = 0


@dataclass(frozen=True, slots=True)
class PrefixEntry:
    """Keys and values of one text.

    ids    its tokens, one for each position
    pairs  for each layer keys and values, each of shape (1, kv_heads, positions, head_dim), in main memory; nobody
           writes into them
    run    how it went; None if that is not known
    """

    ids: tuple[int, ...]
    pairs: Legacy = field(repr=False)
    run: PrefixRun | None = None

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for pair in self.pairs for tensor in pair)

    @property
    def amount(self) -> str:
        """How much it is, in words: positions and bytes."""
        return f"{units.count(len(self.ids), 'position')} ({units.amount(self.bytes, 'B')})"

    def common(self, ids: Sequence[int]) -> int:
        """How many tokens a prompt has in common with this text, from the first on."""
        unequal = (n for n, (ours, theirs) in enumerate(zip(self.ids, ids, strict=False)) if ours != theirs)
        return next(unequal, min(len(self.ids), len(ids)))


@dataclass
class PrefixSlot:
    """Between one lane and a store: `found` is what the lane may start from, the rest is what it leaves.

    The lane sets `cache` and the tokens that it holds, `ids`, in each step; they are looked at when the race is over.
    """

    found: PrefixEntry | None = None
    ids: Sequence[int] = ()
    cache: Cache | None = None


class PrefixStore(Protocol):
    """Where a race finds what an earlier one kept, and puts its own when it is over."""

    def find(self, model: LoadedModel) -> PrefixEntry | None:
        """What was kept of this model, if anything. Raises BadInput for what cannot be used."""

    def put(self, model: LoadedModel, kept: PrefixEntry) -> str:
        """Keep this instead; one sentence on where it is now, or why it is not. Raises BadInput."""


class SessionPrefixes:
    """The stores of all open pages. Over `most_bytes`, the page that raced longest ago loses what it had."""

    def __init__(self, most_bytes: int = MOST_BYTES, most_pages: int = MOST_PAGES) -> None:
        self._most_bytes, self._most_pages = most_bytes, most_pages
        self._stores: OrderedDict[str, _SessionStore] = OrderedDict()
        self._lock = threading.Lock()

    def for_session(self, page: str) -> PrefixStore:
        """The store of a page whose race begins."""
        with self._lock:
            store = self._stores.setdefault(page, _SessionStore(self, page))
            self._stores.move_to_end(page)
            while len(self._stores) > self._most_pages:
                self._stores.popitem(last=False)
            return store

    def drop(self, page: str) -> None:
        """The page was closed. A race of it that still runs will keep nothing."""
        with self._lock:
            self._stores.pop(page, None)

    @property
    def bytes(self) -> int:
        return sum(store.bytes for store in list(self._stores.values()))

    def put(self, store: _SessionStore, network: PreTrainedModel, kept: PrefixEntry) -> str:
        """Put a run into a store, and make room for it in others. Said as by `PrefixStore.put`."""
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
    """One page's store. What it holds is gone as soon as the model is no longer in memory."""

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
