"""The document of Inside: what a model computes and keeps while it reads and writes a text.

A panel that cannot be shown for this model or text is `{"cannot": one sentence}`. Layers, heads and positions are
counted from 0. Shapes are those of the tensors, (rows, heads, positions, width).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from typing_extensions import TypedDict

from kvdemo.core.inside_settings import InsideRequest
from kvdemo.documents.common import Environment, Model, Prompt, Version
from kvdemo.documents.settings import SettingsOf


class Cannot(TypedDict):
    """Why a panel, or a part of one, cannot be shown: one sentence."""

    cannot: str


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


class AttentionPanel(TypedDict):
    """Attention weights of one head of one layer over the text; `rows[q][k]` is query q's weight on key k, k <= q.

    layers, heads  how many there are to choose from
    """

    layer: int
    head: int
    layers: int
    heads: int
    rows: list[list[float]]


class LayerDifference(TypedDict):
    """The largest difference of a layer's hidden states at the positions that both texts share.

    `layer` 0 is the embedding, layer n what the n-th block puts out, the last one after the final norm. `scale` is the
    largest of the values.
    """

    layer: int
    largest_difference: float
    scale: float


class PastPanel(TypedDict):
    """Hidden states before and after a text is appended.

    shared         tokens that both texts have in common; fewer than the text has where appending changes its tokens
    note           one sentence where that is so, or where the text is too long to be shown whole
    tolerance      what a difference may be as a share of `scale`, or of 1 where the scale is smaller: 1e-4, and eight
                   roundings in a format of 16 bits
    holds          whether every difference is within the tolerance
    bidirectional  the same with a mask that lets each position look ahead
    """

    text: str
    appended: str
    shared: int
    note: str | None
    tolerance: float
    layers: list[LayerDifference]
    holds: bool
    bidirectional: list[LayerDifference] | Cannot


class Row(TypedDict):
    """A position of the text in one layer: how far appending a token changes its query, key and value.

    `weight` is how much the first appended token's query reads of this position, the mean over heads.
    """

    position: int
    piece: str
    query_difference: float
    key_difference: float
    value_difference: float
    weight: float


class RolesPanel(TypedDict):
    """Which of query, key and value of a past position a later token reads.

    query_shape, ...    of the text with what was appended
    bytes, query_bytes  keys and values that the cache holds of the text in all layers, and what the queries of these
                        positions would add to it
    note                one sentence where appending changes tokens of the text, or where it is too long to be shown
    """

    layer: int
    layers: int
    appended: str
    note: str | None
    query_shape: list[int]
    key_shape: list[int]
    value_shape: list[int]
    rows: list[Row]
    bytes: int
    query_bytes: int


class LogitStep(TypedDict):
    """Cached against uncached logits that one token is chosen from. Those without a cache are of one pass over all.

    margin  logit of the best token over that of the second, without a cache
    same    whether both choose the same token
    """

    token: int
    piece: str
    largest_difference: float
    margin: float
    same: bool


class Format(TypedDict):
    """The comparison in one number format; the text is that of the model's own format throughout."""

    dtype: str
    steps: list[LogitStep]
    largest_difference: float
    smallest_margin: float


class UnsupportedFormat(Cannot):
    """A number format in which the model cannot run here."""

    dtype: str


class SplitSum(TypedDict):
    """A float32 sum of random numbers, whole and split in two; `exact` is the sum without rounding."""

    numbers: int
    whole: float
    split: float
    exact: float
    difference: float


class ScatterAdd(TypedDict):
    """A scatter-add with repeated indices, several times over.

    results  how many different results there were
    """

    numbers: int
    slots: int
    runs: int
    results: int
    largest_difference: float
    sentence: str


class RoundingPanel(TypedDict):
    """Why cached and uncached logits are equal up to rounding, and what that decides.

    formats  those that are compared so far
    note     one sentence where the text is too long to be taken whole
    """

    formats: list[Format | UnsupportedFormat]
    note: str | None
    sum: SplitSum
    scatter: ScatterAdd


class ScratchStep(TypedDict):
    """One call of the attention from scratch: positions written at `start_pos`, and its difference from the whole."""

    start_pos: int
    positions: int
    buffer_used: int
    largest_difference: float


class ScratchPanel(TypedDict):
    """Attention with preallocated key and value buffers, fed token by token, against full causal attention.

    source, path  the file of this repository that was run
    buffer_shape  (batch, max_seq_len, heads, head_dim)
    """

    path: str
    source: str
    buffer_shape: list[int]
    steps: list[ScratchStep]
    largest_difference: float
    tolerance: float
    holds: bool


class Term(TypedDict):
    """`coefficient` · batch^batch · length^length; with `cap`, at most so many positions of the length count.

    part  what the term counts, where a value is made of several
    """

    coefficient: float
    batch: int
    length: int
    cap: NotRequired[int]
    part: NotRequired[Literal["weights", "attention", "cache"]]


class Formula(TypedDict):
    """One formula with this model's numbers.

    formula   as it is written in the field
    numbers   the same with this model's numbers in it
    terms     whose sum is the value, so that a reader can move batch and length; empty where it is not a number
    value     at the batch and length that were asked for; null where it is not a number
    """

    name: str
    formula: str
    numbers: str
    unit: str
    terms: list[Term]
    value: float | None
    about: str


class FormulasPanel(TypedDict):
    """The formulas of the cache with this model's numbers."""

    batch: int
    length: int
    formulas: list[Formula]


class SourceLine(TypedDict):
    """A line of a file; `only` is true where the other file has no such line."""

    number: int
    text: str
    only: bool


class Loop(TypedDict):
    """The source of a strategy."""

    strategy: str
    name: str
    path: str
    lines: list[SourceLine]


class LoopsPanel(TypedDict):
    """The two loops side by side. `pairs` are the lines that face each other: indices into both, null for a gap."""

    loops: list[Loop]
    pairs: list[list[int | None]]


class LegacyPanel(TypedDict):
    """The cache as a tuple of (keys, values) a layer, there and back, and through a file.

    shapes      of the first layer's keys and values; `other_shapes` those of layers that differ
    tokens      what the model writes from the cache as it was
    converted   the same after the cache was converted there and back
    resumed     the same after it was written to a file and read from it
    note        one sentence where the text is too long to be taken whole
    """

    layers: int
    shapes: list[list[int]]
    other_shapes: list[list[list[int]]]
    bytes: int
    file_bytes: int
    note: str | None
    tokens: list[int]
    pieces: list[str]
    converted: list[int]
    resumed: list[int]
    same: bool


class Panels(TypedDict, total=False):
    """The panels that were asked for and are computed."""

    steps: StepsPanel | Cannot
    attention: AttentionPanel | Cannot
    past: PastPanel | Cannot
    roles: RolesPanel | Cannot
    rounding: RoundingPanel | Cannot
    scratch: ScratchPanel | Cannot
    formulas: FormulasPanel | Cannot
    loops: LoopsPanel | Cannot
    legacy: LegacyPanel | Cannot


class InsideDocument(TypedDict):
    """What a model computes and keeps for one text.

    status  "stopped" where it was stopped before all panels were computed
    """

    schema: Version
    kind: Literal["inside"]
    status: Literal["running", "done", "stopped"]
    environment: Environment
    model: Model
    prompt: Prompt
    settings: Annotated[dict[str, Any], SettingsOf(InsideRequest)]
    panels: Panels
