"""Define the document of a plan."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from kvdemo.documents.common import Size, Version


class Model(TypedDict):
    """The model's shape, from its configuration.

    layer_kinds         how many layers of each kind
    heads               query heads; a sorted list where layers differ
    kv_heads, head_dim  each value that a layer has, sorted
    active_parameters   those that a token's step reads, at the least
    """

    name: str
    attention: Literal["multi-head", "grouped-query", "multi-query", "latent"]
    layers: int
    layer_kinds: dict[str, int]
    heads: int | list[int]
    kv_heads: list[int]
    head_dim: list[int]
    hidden_size: int
    vocab_size: int
    context_length: int | None
    basis: Literal["formula"]
    parameters: int
    active_parameters: int


class Settings(TypedDict):
    """The machine, and the load that is planned: `batch` sequences of `context` positions each."""

    memory_bytes: int
    bandwidth_bytes_per_s: float
    dtype: str
    cache_dtype: str
    context: int
    batch: int


class Weights(TypedDict):
    """Bytes of all weights, and of those that a step for one token reads."""

    basis: Literal["formula"]
    bytes: int
    read_bytes_per_token: int


class SizeAtContext(Size):
    """The cache of one sequence at the plan's context, and of all sequences."""

    batch_bytes: int


class Cache(TypedDict):
    """How the cache grows, and how large it is.

    bytes_per_token               of one more token of one sequence
    bytes_per_token_past_windows  the same when all sliding windows are full
    constant_bytes                held whatever the length
    curve                         the same over the length, up to beyond all that the plan names: for a chart
    outgrows_weights_at           the length from which on one sequence's cache is larger than the weights
    repeated_bytes_per_token      where a library keeps a key-value head for each query head; null where it does not
    """

    basis: Literal["formula"]
    bytes_per_token: int
    bytes_per_token_past_windows: int
    constant_bytes: int
    at: list[Size]
    at_context: SizeAtContext
    curve: list[Size]
    outgrows_weights_at: int | None
    repeated_bytes_per_token: int | None


class Fit(TypedDict):
    """What fits into the memory that the weights leave. `largest_context` is null where the cache stops growing."""

    basis: Literal["formula"]
    weights_fit: bool
    free_bytes: int
    largest_context: int | None
    largest_batch: int
    fits: bool
    needed_bytes: int


class Decode(TypedDict):
    """The least that a decode step can take, from the bytes that it reads."""

    basis: Literal["predicted"]
    bytes_read: int
    ms_per_token: float
    tokens_per_s: float
    batch_tokens_per_s: float


class PlanDocument(TypedDict):
    """What a model's cache needs of a machine: formulas and one prediction. Nothing in it was measured."""

    schema: Version
    kind: Literal["plan"]
    model: Model
    settings: Settings
    weights: Weights
    cache: Cache
    fit: Fit
    decode: Decode
    headline: str
    sentences: list[str]
    notes: list[str]
