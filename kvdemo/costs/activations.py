"""Calculate by formula the bytes that a forward pass takes beside weights and cache. Standard library only.

A pass without gradients frees what a layer computed before the next one runs, so it takes as much as its largest part.
"""

from __future__ import annotations

from dataclasses import dataclass

from kvdemo.core.types import Pass

_FLOAT32 = 4


@dataclass(frozen=True)
class Widths:
    """Numbers that a pass computes for one position, in the widest layer.

    hidden    of the stream between layers
    inner     the widest product in a layer, for each expert that a token is sent to: of the MLP mostly
    heads     query heads; `head_dim` numbers each
    kv_heads  heads whose keys and values are kept
    vocab     entries of the logits
    parts     of `inner` numbers each that are held at a time: 3 of a gated MLP (gate, up and their product), 5 where
              the activation function is computed operation by operation
    fused     attention never writes down the scores of all pairs of positions (Dao et al. 2022, arXiv:2205.14135)
    """

    hidden: int
    inner: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    fused: bool = True
    parts: int = 3


def activation_bytes(ran: Pass, widths: Widths, itemsize: int) -> int:
    """Calculate the most bytes that are held at a time while a pass runs, `itemsize` bytes a number.

    Korthikanti et al. 2022 (arXiv:2205.05198, section 4.1) count what each part of a layer keeps for training: 5·s·T
    numbers a head for attention's scores, 19·hidden for the MLP with its inner width of 4·hidden ... Without gradients
    one part is held at a time, with its inputs and outputs. For n = rows · positions these are, in numbers:

        stream     n · (4·hidden + 2·head_dim), in all parts: the embedded text, what a layer adds to before and after
                   attention, what goes into the part, the rotary angles' cosines and sines; ids and
                   places, 8 bytes each
        norm       n · 3·hidden, in float32
        attention  n · 4·(heads + kv_heads)·head_dim: queries, keys and values, turned and not, and the output; with
                   keys and values repeated for each query head, 2·rows·context·heads·head_dim; unless it is fused,
                   the scores rows·positions·context·heads, in two copies and float32
        mlp        n · parts·inner
        cache      rows · context · kv_heads·head_dim: a layer's keys are copied to a place with room for the new ones
        logits     rows · logits · vocab, of this step and the one before, and in float32 three times: log-probabilities
                   and what is made of them
        mask       positions · context, where a pass looks back at a cache

    Not counted: what kernels need for themselves, hidden states that a strategy keeps, and what single architectures
    compute beside this: where a pass runs a whole text, `models.facts.pass_memory` measures it instead.
    """
    n, pairs = ran.rows * ran.positions, ran.positions * ran.context
    query, key = widths.heads * widths.head_dim, widths.kv_heads * widths.head_dim
    attention = itemsize * (4 * n * (query + key) + ran.rows * ran.context * key)
    if widths.heads > widths.kv_heads:
        attention += itemsize * 2 * ran.rows * ran.context * query
    if not widths.fused:
        attention += 2 * max(itemsize, _FLOAT32) * ran.rows * pairs * widths.heads
    if not widths.fused or ran.positions < ran.context:
        attention += (1 + itemsize) * pairs
    norm, mlp = _FLOAT32 * 3 * n * widths.hidden, itemsize * widths.parts * n * widths.inner
    parts = max(norm, attention, mlp) + itemsize * logits(ran, widths)
    stream = itemsize * n * (4 * widths.hidden + 2 * widths.head_dim) + 16 * n
    return stream + max(parts, choosing_bytes(ran, widths, itemsize))


def choosing_bytes(ran: Pass, widths: Widths, itemsize: int) -> int:
    """Calculate the bytes that are held while tokens are chosen: `logits` of `activation_bytes`."""
    return (2 * itemsize + 3 * _FLOAT32) * logits(ran, widths)


def logits(ran: Pass, widths: Widths) -> int:
    """Count the numbers in the logits that are kept of a pass."""
    return ran.rows * ran.logits * widths.vocab
