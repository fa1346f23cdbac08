"""Define the parts that several kinds of documents have."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from kvdemo.core.types import SourceKind

#: The version of the documents, which a reader of a file checks first.
Version = Literal[1]
SCHEMA: Version = 1


class Environment(TypedDict):
    """On what a figure was taken: versions, hardware, and settings that change times.

    threads           threads of one operation on a CPU
    openmp            how OpenMP's threads wait, and who decided it
    attention         the implementation that transformers runs
    attention_kernels what torch tries for it, in order; null for an implementation without a choice
    attention_line    the same, for people
    spread            bytes of weights on each of the devices that the model is spread over; null for one device
    float32_matmul    precision of float32 products
    git_revision      null for an installed package
    """

    kvdemo: str
    python: str
    torch: str
    transformers: str
    platform: str
    cpu: str
    threads: int
    openmp: str
    gpu: str | None
    gpu_memory_bytes: int | None
    cuda: str | None
    driver: str | None
    attention: str | None
    attention_kernels: list[str] | None
    attention_line: str | None
    spread: dict[str, int] | None
    float32_matmul: str
    git_revision: str | None


class Source(TypedDict):
    """Where a model came from, and what a reader can look up: an id, a package, a path."""

    kind: SourceKind
    location: str


class Model(TypedDict):
    """Facts of the model that ran.

    revision    commit or hash; null for a folder
    parameters  each counted once, also where two layers share it; weight_bytes is theirs
    layers      those that keep something for each position; null where its shape is not understood
    heads, kv_heads, head_dim  a list where layers differ
    vocab_size  tokens that it can choose from
    """

    id: str
    source: Source
    revision: str | None
    dtype: str
    device: str
    random_weights: bool
    parameters: int
    weight_bytes: int
    layers: int | None
    heads: int | list[int] | None
    kv_heads: int | list[int] | None
    head_dim: int | list[int] | None
    vocab_size: int
    context_length: int | None
    chat_template: bool
    attention: str | None


class Prompt(TypedDict):
    """The prompt as it was asked for, as the model read it (with its chat template), and the ids of that."""

    text: str
    model_text: str
    tokens: list[int]


class Summary(TypedDict):
    """Samples in figures. `std` is null for one sample, `p99` below a hundred."""

    n: int
    mean: float
    std: float | None
    median: float
    p90: float
    p99: float | None
    min: float
    max: float


class ForwardPass(TypedDict):
    """One forward pass: `positions` new ones in each of `rows`, which attend to `context` positions.

    logits    positions of each row that go through the projection onto the vocabulary
    rejected  positions that were cut off the cache again: wrong drafts
    draft     run by the draft model
    beyond    positions that a layer with a window keeps beyond it, because they may be cut off again
    """

    rows: int
    positions: int
    context: int
    logits: int
    rejected: int
    draft: bool
    beyond: int


class Size(TypedDict):
    """Bytes of the cache of one sequence of a length."""

    positions: int
    bytes: int
