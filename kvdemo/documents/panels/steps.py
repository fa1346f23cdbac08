"""Describe the panel `steps`: decoding step by step, with a cache and without."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict


class DecodingStep(TypedDict):
    """One step of greedy decoding, with a cache and without, counted for the same text.

    A product is that of one query with one key, in one head of one layer; a query has one with each position that it
    may look at. `new` is what the step computes with a cache, `all` what it computes without. The `_so_far` counts
    include this step.

    positions, positions_all   positions run through the model
    length       positions of the text when the step is over, without the token that it chose
    cache_bytes  what the cache holds after the step: the bytes of its tensors
    formula_bytes  the same by formula; null where no formula is known
    flops, flops_all  least operations of the step by formula; null where no formula is known
    """

    token: int
    length: int
    positions: int
    positions_all: int
    products: int
    products_all: int
    products_so_far: int
    products_all_so_far: int
    cache_bytes: int
    formula_bytes: int | None
    flops: float | None
    flops_all: float | None


class CacheLayers(TypedDict):
    """Layers whose caches have the same shapes throughout.

    key_shape, value_shape  after the last step; null where the layer keeps no keys
    lengths    positions kept after each step
    bytes      bytes of each of these layers after each step
    """

    layers: list[int]
    kind: Literal["full", "sliding", "state", "other"]
    key_shape: list[int] | None
    value_shape: list[int] | None
    lengths: list[int]
    bytes: list[int]


class StepsPanel(TypedDict):
    """Decoding step by step.

    pieces         the text of each token, prompt first
    tokens         ids of the same
    prompt_tokens  how many of them the prompt has
    totals         the counts of the closed forms, to compare with the sums over the steps:
                   without a cache the sum of t(t+1)/2 over the lengths t, with one T(T+1)/2 at the last length T;
                   and of positions run through the model
    attends        whether each query looks at all positions before it: false where layers have windows or states
    note           one sentence on what is counted where that is so
    ended          "given" where the tokens after the text were given and not decoded; null while they are decoded
    """

    pieces: list[str]
    tokens: list[int]
    prompt_tokens: int
    steps: list[DecodingStep]
    totals: dict[str, int]
    caches: list[CacheLayers]
    attends: bool
    note: str | None
    ended: Literal["length", "eos", "given"] | None
