"""What a cache, a step and a token cost, by formula. Standard library only; nothing here was measured.

A decoding step with a cache reads every weight that takes part, and every key and value that is held, to make one
token: at batch 1 it is bound by memory bandwidth, and (weight bytes + cache bytes) / bandwidth is its floor. A step
without a cache runs the whole text again and is soon bound by arithmetic. Two sums decide which, bytes and FLOPs.

An `Architecture` says what each layer keeps. Query heads appear in it only where work is counted: what a cache
holds depends on key-value heads alone (Shazeer 2019, arXiv:1911.02150; Ainslie et al. 2023, arXiv:2305.13245).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from kvdemo.core.types import Pass

LayerKind = Literal["full", "sliding", "state"]


@dataclass(frozen=True)
class LayerCache:
    """What one layer keeps of the text that it has seen, for one sequence.

    kind              "full": every position; "sliding": the last `window`; "state": nothing that grows
    kv_heads          key-value heads (not query heads); 0 for "state"
    head_dim          width of a key head; `value_dim` that of a value head (the same, where it is left out)
    window            positions kept between two steps, for "sliding". A model with a sliding window of W attends to
                      W positions, but the newest one arrives with the step that needs it: W - 1 are kept
    state_elements    numbers of constant count, in the cache's number format: convolution and recurrent states. A
                      layer of any kind may have them (Falcon-H1 runs attention and a state space side by side)
    float32_elements  the same for numbers that stay in float32 whatever the model's format is
    index_elements    numbers kept for each position beside its keys and values, in the cache's number format: the
                      keys of an indexer, which chooses the positions that are attended to (DeepSeek-V3.2, GLM-5)
    index_bytes       bytes kept for each position whatever the format is: an indexer's positions
    """

    kind: LayerKind
    kv_heads: int = 0
    head_dim: int = 0
    value_dim: int = 0
    window: int | None = None
    state_elements: int = 0
    float32_elements: int = 0
    index_elements: int = 0
    index_bytes: int = 0

    def __post_init__(self) -> None:
        if not self.value_dim:
            object.__setattr__(self, "value_dim", self.head_dim)

    @property
    def per_position(self) -> int:
        """Numbers kept for each position that is kept: kv_heads · (key width + value width), and an indexer's keys."""
        return 0 if self.kind == "state" else self.kv_heads * (self.head_dim + self.value_dim) + self.index_elements

    def bytes_per_position(self, itemsize: int) -> int:
        """Bytes of each position that is kept, `itemsize` bytes a number."""
        return itemsize * self.per_position + self.index_bytes

    def kept(self, positions: int, beyond: int = 0) -> int:
        """How many of so many positions the layer keeps; `beyond` more than its window, where it has one."""
        if self.kind == "state":
            return 0
        return positions if self.window is None else min(positions, self.window + beyond)


@dataclass(frozen=True)
class Architecture:
    """A model as far as its costs depend on it.

    layers             one entry a layer, those that keep nothing included
    heads, head_dim    query heads and their width, for the work of attention; where a query and a value differ in
                       width, `head_dim` is the mean of the two
    parameters         every number in the model's weights, tied ones once
    active_parameters  those read for one token of text: no table of which only one row is looked up, of a mixture
                       of experts only those that a token is sent to, of a multimodal model only the text part
    context_length     positions that the model was made for; None where its configuration sets no limit
    attention          "multi-head", "grouped-query", "multi-query" or "latent"
    repeats            how often each key-value head is in `layers`: 1, but where transformers keeps a head once for
                       each query head that shares it (Falcon's newer models); see `shared`
    text_part          whether the model is for more than text, and all of this is about the part that continues text
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
    repeats: int = 1
    text_part: bool = False

    @cached_property
    def kinds(self) -> tuple[tuple[LayerCache, int], ...]:
        """Each different layer with its number: sums over layers are sums over a few kinds of them."""
        return tuple(Counter(self.layers).items())


def shared(arch: Architecture) -> Architecture:
    """The architecture with every key-value head kept once, as an engine does that repeats none."""
    layers = (replace(layer, kv_heads=layer.kv_heads // arch.repeats) for layer in arch.layers)
    return replace(arch, layers=tuple(layers), repeats=1)


def kv_bytes(arch: Architecture, positions: int, itemsize: int, batch: int = 1, beyond: int = 0) -> int:
    """Bytes that the cache holds after so many positions of `batch` sequences, `itemsize` bytes a number.

    2 · kv_heads · head_dim · itemsize · positions, summed over the layers (Pope et al. 2022, arXiv:2211.05102,
    section 3.3); min(positions, window) in a sliding layer (Mistral 7B, arXiv:2310.06825, section 2); states do not
    grow. Equal, byte for byte, to the tensors in transformers' DynamicCache: tests/models/facts/test_architecture.py.
    `beyond` is for a cache that may still be cut (`core.types.Pass`).
    """
    if positions <= 0:
        return 0
    growing = sum(n * layer.bytes_per_position(itemsize) * layer.kept(positions, beyond) for layer, n in arch.kinds)
    constant = sum(n * (itemsize * layer.state_elements + 4 * layer.float32_elements) for layer, n in arch.kinds)
    return batch * (growing + constant)


def kv_bytes_per_token(arch: Architecture, itemsize: int) -> int:
    """Bytes by which one more position of one sequence grows the cache while no sliding layer is full."""
    return sum(layer.bytes_per_position(itemsize) for layer in arch.layers)


def step_flops(arch: Architecture, new_positions: int, context: int) -> float:
    """The least floating-point operations of one pass over `new_positions` at a context that includes them.

    2·s·(N_active - head) + 2·head + 4·pairs·(heads·head_dim) for each layer with attention: a multiplication and an
    addition for each weight and position (Kaplan et al. 2020, arXiv:2001.08361, table 1), and as many for each
    product of a query with a key and of a weight with a value. The projection onto the vocabulary (head) is needed
    for the last position alone. `pairs` counts the keys that each query may look at: s·T - s(s-1)/2, since a position
    does not look ahead, and at most its window in a sliding layer. For one new position that is
    2·N_active + 4·layers·T·(heads·head_dim). The scan of a state-space layer is not counted: next to its weights it
    is small.
    """
    return pass_flops(arch, Pass(1, new_positions, context))


def pass_flops(arch: Architecture, ran: Pass) -> float:
    """The least floating-point operations of a pass: `step_flops` of each row, the head for `ran.logits` positions."""
    head = min(arch.vocab_size * arch.hidden_size, arch.active_parameters)
    attention = sum(
        n * _pairs(ran.positions, ran.context, layer) * _width(arch, layer) for layer, n in arch.kinds if layer.kv_heads
    )
    dense = 2.0 * ran.positions * (arch.active_parameters - head) + 2.0 * ran.logits * head
    return ran.rows * (dense + 2.0 * attention * arch.heads)


def _width(arch: Architecture, layer: LayerCache) -> int:
    """Width of a query and of a value together, in one head of a layer.

    Layers may differ (Gemma 4). A latent is not what is multiplied: keys and values are computed from it.
    """
    return 2 * arch.head_dim if arch.attention == "latent" else layer.head_dim + layer.value_dim


def _pairs(new_positions: int, context: int, layer: LayerCache) -> int:
    """Query-key pairs of one row in one layer: each new position with itself and those before it.

    In a sliding layer the first `ramp` of them still see less than the window of W = layer.window + 1 positions, each
    one more than the position before it; all others see W.
    """
    first = context - new_positions + 1
    window = context if layer.window is None else layer.window + 1
    ramp = max(0, min(context, window) - first + 1)
    return ramp * first + ramp * (ramp - 1) // 2 + (new_positions - ramp) * window


def decode_floor_s(weight_bytes: float, kv_bytes: float, bandwidth: float) -> float:
    """The least seconds that a decoding step can take: what it must read over the bandwidth in bytes per second.

    Weights and cache are each read once (Pope et al. 2022, section 2.1). One step gives each sequence of a batch its
    next token.
    """
    return (weight_bytes + kv_bytes) / bandwidth


def positions_uncached(prompt: int, new_tokens: int) -> int:
    """Positions run through the model without a cache: n·P + n(n-1)/2. Each step runs all that is there again."""
    return new_tokens * prompt + new_tokens * (new_tokens - 1) // 2


def positions_cached(prompt: int, new_tokens: int) -> int:
    """Positions run through the model with a cache: P + n - 1. The last token is never fed back."""
    return prompt + new_tokens - 1 if new_tokens else 0


def most_positions(arch: Architecture, itemsize: int, budget: int, batch: int = 1) -> int | None:
    """The largest context whose cache fits into `budget` bytes, 0 if none does; None where no context is too long.

    The last is the case of a cache that stops growing: sliding windows and states alone.
    """

    def fits(positions: int) -> bool:
        return kv_bytes(arch, positions, itemsize, batch) <= budget

    if not fits(1):
        return 0
    stops_growing = max((layer.window or 0 for layer in arch.layers), default=0)
    endless = any(layer.kind == "full" and layer.per_position for layer in arch.layers)
    if not endless and fits(max(stops_growing, 1)):
        return None
    low, high = 1, 2
    while fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def outgrows_weights_at(arch: Architecture, itemsize: int, weight_bytes: int) -> int | None:
    """The smallest context at which one sequence's cache is larger than the weights; None if it never is."""
    most = most_positions(arch, itemsize, weight_bytes)
    return None if most is None else most + 1
