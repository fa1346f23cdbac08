"""Describe what each layer of a model keeps of the text, and what a token costs it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

LayerKind = Literal["full", "sliding", "state"]


@dataclass(frozen=True)
class LayerCache:
    """What one layer keeps of the text that it has seen, for one sequence.

    kind              "full": every position; "sliding": the last `window`; "state": nothing that grows
    kv_heads          key-value heads (not query heads); 0 for "state"
    head_dim          width of a key head; `value_dim` that of a value head (the same, where it is left out; 0 where
                      nothing is kept beside a latent)
    window            positions kept between two steps, for "sliding". A model with a sliding window of W attends to
                      W positions, but the newest one arrives with the step that needs it: W - 1 are kept
    chunked           for "sliding": the text is cut into chunks of W positions, and a query looks at those of its own
                      chunk alone (Llama 4). The cache keeps as many as with a window
    state_elements    numbers of constant count, in the cache's number format: convolution and recurrent states. A
                      layer of any kind may have them (Falcon-H1 runs attention and a state space side by side)
    float32_elements  the same for numbers that stay in float32 whatever the model's format is
    index_elements    numbers kept for each position beside its keys and values, in the cache's number format: the
                      keys of an indexer, which chooses the positions that are attended to (DeepSeek-V3.2, GLM-5)
    index_bytes       bytes kept for each position whatever the format is: an indexer's positions, or its keys where
                      these stay in float32 (dots.3)
    sparse            queries look at positions that an indexer chooses (`Architecture.indexer`), by keys that this
                      layer keeps or another one, and not at all that are kept
    together          positions that what is counted here is for: each whole group of so many counts as one
    query_heads       query heads that look at what is kept, which changes nothing of it; 0 where that was not seen
    """

    kind: LayerKind
    kv_heads: int = 0
    head_dim: int = 0
    value_dim: int = -1  # left out: `head_dim`, once it is made
    window: int | None = None
    chunked: bool = False
    state_elements: int = 0
    float32_elements: int = 0
    index_elements: int = 0
    index_bytes: int = 0
    sparse: bool = False
    query_heads: int = 0
    together: int = 1

    def __post_init__(self) -> None:
        if self.value_dim < 0:
            object.__setattr__(self, "value_dim", self.head_dim)

    @property
    def keys_and_values(self) -> int:
        """Numbers that attention reads of each position: kv_heads · (key width + value width)."""
        return self.kv_heads * (self.head_dim + self.value_dim)

    @property
    def per_position(self) -> int:
        """Numbers kept for each position that is kept: keys and values, and an indexer's keys."""
        return 0 if self.kind == "state" else self.keys_and_values + self.index_elements

    @property
    def indexed(self) -> bool:
        """Whether the layer keeps an indexer's keys, in whatever format."""
        return self.index_elements + self.index_bytes > 0

    def bytes_per_position(self, itemsize: int) -> int:
        """Count the bytes of each position that is kept, `itemsize` bytes a number."""
        return itemsize * self.per_position + self.index_bytes

    def kept(self, positions: int, beyond: int = 0) -> int:
        """Count the positions that the layer keeps of `positions`; `beyond` more than its window, where it has one."""
        if self.kind == "state":
            return 0
        return positions // self.together if self.window is None else min(positions, self.window + beyond)


@dataclass(frozen=True)
class Latent:
    """What attention makes of a latent (`LayerCache.head_dim` numbers a position, `value_dim` beside it for its place).

    key, value  widths of the key, without its place, and of the value that each head computes from the latent
    """

    key: int
    value: int


@dataclass(frozen=True)
class Indexer:
    """What chooses the positions that a query looks at (DeepSeek-V3.2, GLM-5). Layers may share a choice.

    chosen    positions that a query surely looks at, of a text that has as many; it may look at a few more. None where
              that is not known: then one is counted, since a query looks at something
    products  multiplications by which it scores a position for a query, in each layer that keeps its keys; 0 where it
              does not score each position by itself, and its work is not known
    together  positions that it scores together, by one key of `width` numbers in place of theirs (GLM-5-Next, Qwen4);
              0 where that is not known, or each position is scored by itself
    """

    chosen: int | None
    products: int
    together: int = 0
    width: int = 0

    @property
    def least(self) -> int:
        """Positions that are counted as looked at, at most."""
        return self.chosen or 1


@dataclass(frozen=True)
class Published:
    """How the weights of a model were published, where that is in no number format that a processor computes in.

    method  the format's name: AWQ, GPTQ, bitsandbytes, MXFP4, FP8
    bits    of a number in it; None where the configuration does not say it
    bytes   an estimate of all weights as published; None where the configuration tells too little
    """

    method: str
    bits: int | None
    bytes: int | None


@dataclass(frozen=True)
class Architecture:
    """A model as far as its costs depend on it.

    layers             one entry a layer, those that keep nothing included
    heads, head_dim    query heads, the most that a layer has, and their width, for the work of attention; where a query
                       and a value differ in width, `head_dim` is the mean of the two
    parameters         every number in the model's weights, tied ones once
    active_parameters  those read for one token of text: no table of which only one row is looked up, of a mixture
                       of experts only those that a token is sent to, of a multimodal model only the text part
    spare_parameters   how many more are read where a router that may choose none of the experts, or identities without
                       weights, chooses experts alone (LongCat-Flash, ZAYA1); 0 where it always does
    context_length     positions that the model was made for; None where its configuration sets no limit
    attention          "multi-head", "grouped-query", "multi-query" or "latent"
    latent             what "latent" attention makes of what its layers keep
    indexer            what chooses the positions that a query looks at in `sparse` layers; None where no layer is one
    repeats            how often each key-value head is in `layers`: 1, but where transformers keeps a head once for
                       each query head that shares it (Falcon's newer models); see `shared`
    text_part          whether the model is for more than text, and all of this is about the part that continues text
    borrowed           for each layer that attends to the keys of another one and keeps none, what that one keeps
    published          how the weights were quantised that the configuration describes; None where they were not
    late_parameters    those of `active_parameters` in such layers, where these run for the positions alone whose logits
                       are asked for (Gemma 4); 0 where they run for all
    head_parameters    those of `active_parameters` that make logits of what the last layer leaves; left out:
                       vocab_size · hidden_size
    repeated_parameters  weights that a position is multiplied with again in one pass, once for each time after the
                       first (Zamba2's shared blocks, HRM's cycles)
    unused_windows     the windows in positions that the configuration states for layers whose code uses none; see
                       `kvdemo.costs.unused_windows`
    """

    name: str
    layers: tuple[LayerCache, ...]
    heads: int
    head_dim: int
    hidden_size: int
    vocab_size: int
    parameters: int
    active_parameters: int
    context_length: int | None
    attention: str
    latent: Latent | None = None
    indexer: Indexer | None = None
    repeats: int = 1
    text_part: bool = False
    borrowed: tuple[LayerCache, ...] = ()
    late_parameters: int = 0
    head_parameters: int | None = None
    repeated_parameters: int = 0
    spare_parameters: int = 0
    published: Published | None = None
    unused_windows: tuple[int, ...] = ()

    @cached_property
    def kinds(self) -> tuple[tuple[LayerCache, int], ...]:
        """Each different way to keep a text with its number of layers: sums over layers are sums over a few kinds."""
        return tuple(Counter(replace(layer, query_heads=0) for layer in self.layers).items())

    @cached_property
    def read(self) -> tuple[tuple[LayerCache, int], ...]:
        """What a step reads of a cache, like `kinds`: of `sparse` layers the chosen keys and values, and the indexer's.

        Of the indexer's keys all are read, since it scores each position. Where it scores groups of positions, one key
        a whole group is counted: that is the least, though transformers keeps and reads the keys of all positions.
        """
        return tuple((part, n) for layer, n in self.kinds for part in self._parts(layer))

    def _parts(self, layer: LayerCache) -> tuple[LayerCache, ...]:
        if not (self.indexer and layer.sparse):
            return (layer,)
        chosen = replace(layer, window=self.indexer.least, index_elements=0, index_bytes=0)
        keys = LayerCache("full", index_elements=layer.index_elements, index_bytes=layer.index_bytes)
        if self.indexer.products:
            return chosen, keys
        if not (layer.indexed and self.indexer.together):
            return (chosen,)
        return chosen, LayerCache("full", index_elements=self.indexer.width, together=self.indexer.together)

    @cached_property
    def attending(self) -> tuple[tuple[LayerCache, int, bool], ...]:
        """Each different layer with queries, its number, and whether only positions whose logits are asked run it.

        Where an indexer chooses what a query looks at, the layer has a window of as many positions here.
        """
        own = ((layer, n, False) for layer, n in Counter(self.layers).items() if layer.kv_heads)
        others = ((layer, n, self.late_parameters > 0) for layer, n in Counter(self.borrowed).items())
        return tuple((self._looked_at(layer), n, late) for layer, n, late in (*own, *others))

    def _looked_at(self, layer: LayerCache) -> LayerCache:
        return replace(layer, window=self.indexer.least - 1) if self.indexer and layer.sparse else layer

    def heads_of(self, layer: LayerCache) -> int:
        """Return the query heads of one layer, the model's where those of the layer were not seen."""
        return layer.query_heads or self.heads

    @property
    def all_heads(self) -> list[int]:
        """Each number of query heads that a layer has, sorted."""
        return sorted({self.heads_of(layer) for layer, _, _ in self.attending})


def one_or_all(numbers: Iterable[int]) -> int | list[int] | None:
    """Return the number where there is one, a sorted list where there are several, None where there is none."""
    found = sorted(set(numbers))
    return found if len(found) > 1 else next(iter(found), None)


def contents(layers: Sequence[LayerCache] | None) -> str:
    """Name what a cache of these layers holds, as in "6 kB of states"; None is for layers that are not known."""
    keys = any(layer.kv_heads for layer in layers or ())
    states = any(layer.state_elements or layer.float32_elements for layer in layers or ())
    if keys:
        return "keys, values and states" if states else "keys and values"
    return "states" if states else "cache"


def shared(arch: Architecture) -> Architecture:
    """Return the architecture with every key-value head kept once, as an engine keeps it that repeats none."""
    layers = (replace(layer, kv_heads=layer.kv_heads // arch.repeats) for layer in arch.layers)
    return replace(arch, layers=tuple(layers), repeats=1)
