"""Calculate by formula what a cache, a step and a token cost. Standard library only; nothing is measured.

A decoding step with a cache reads every weight that takes part, and every key and value that is held, to make one
token: at batch 1 it is bound by memory bandwidth, and (weight bytes + cache bytes) / bandwidth is its floor. Where an
indexer chooses positions, it need not read all that is held (`read_bytes`). A step without a cache runs the whole text
again and is soon bound by arithmetic. Two sums decide which, bytes and FLOPs.

An `Architecture` says what each layer keeps. Query heads appear in it only where work is counted: what a cache
holds depends on key-value heads alone (Shazeer 2019, arXiv:1911.02150; Ainslie et al. 2023, arXiv:2305.13245).
"""

from __future__ import annotations

from collections.abc import Sequence

from kvdemo.core.types import Pass
from kvdemo.costs.architecture import Architecture, Latent, LayerCache


def kv_bytes(arch: Architecture, positions: int, itemsize: int, batch: int = 1, beyond: int = 0) -> int:
    """Calculate the bytes that a cache holds after n positions of `batch` sequences, `itemsize` bytes a number.

    2 · kv_heads · head_dim · itemsize · positions, summed over the layers (Pope et al. 2022, arXiv:2211.05102,
    section 3.3); min(positions, window) in a sliding layer (Mistral 7B, arXiv:2310.06825, section 2); states do not
    grow. Equal, byte for byte, to the tensors in transformers' DynamicCache: tests/models/facts/test_architecture.py.
    `beyond` is for a cache that may still be cut (`core.types.Pass`).
    """
    return batch * sum(n * _layer_bytes(layer, positions, itemsize, beyond) for layer, n in arch.kinds)


def read_bytes(arch: Architecture, positions: int, itemsize: int, batch: int = 1) -> int:
    """Calculate the bytes of a cache that a step must read at a context of n positions, of `batch` sequences.

    `kv_bytes`, but where an indexer chooses positions: then keys and values of min(n, chosen) positions, and the
    indexer's keys of all (DeepSeek-V3.2, arXiv:2512.02556, section 2.1; `Architecture.read`). transformers reads
    everything and masks what is not chosen.
    """
    return batch * sum(n * _layer_bytes(layer, positions, itemsize) for layer, n in arch.read)


def layers_bytes(layers: Sequence[LayerCache], positions: int, itemsize: int, batch: int = 1) -> int:
    """Calculate `kv_bytes` of layers whose model is not described further."""
    return batch * sum(_layer_bytes(layer, positions, itemsize) for layer in layers)


def _layer_bytes(layer: LayerCache, positions: int, itemsize: int, beyond: int = 0) -> int:
    """Count the bytes that one layer holds of one sequence: what grows with it, and states."""
    if positions <= 0:
        return 0
    constant = itemsize * layer.state_elements + 4 * layer.float32_elements
    return layer.bytes_per_position(itemsize) * layer.kept(positions, beyond) + constant


def kv_bytes_per_token(arch: Architecture, itemsize: int) -> int:
    """Calculate the bytes by which a position of one sequence grows the cache while no sliding layer is full."""
    return sum(layer.bytes_per_position(itemsize) for layer in arch.layers)


def step_flops(arch: Architecture, new_positions: int, context: int) -> float:
    """Calculate the least floating-point operations of a pass over `new_positions` at a context that includes them.

    2·s·(N - head) + 2·head + 4·pairs·(heads·head_dim) for each layer with attention: a multiplication and an
    addition for each weight and position (Kaplan et al. 2020, arXiv:2001.08361, table 1), and as many for each product
    of a query with a key and of a weight with a value; a latent has ways of its own (`_latent_products`), and an
    indexer's scores are added (`index_width`). The projection onto the vocabulary (head) is needed for the last
    position alone. `pairs` counts the keys that each query may look at: s·T - s(s-1)/2, since a position does not look
    ahead, and at most its window in a sliding layer. For one new position that is 2·N + 4·layers·T·(heads·head_dim).
    N is N_active and, once for each time after the first, the weights that run several times in a pass (Zamba2's
    shared blocks, HRM's cycles; `multiplied_parameters`). Layers that need run for the last position alone count like
    the head (`Architecture.late_parameters`). The scan of a state-space layer is not counted: next to its weights it is
    small. The least is below what is done where attention multiplies more than the cache's tensors show: DiffLlama's
    heads multiply values twice as wide as those that are kept (arXiv:2410.05258, section 2.1), and Doge projects all
    values that are kept in each step.
    """
    return pass_flops(arch, Pass(1, new_positions, context))


def pass_flops(arch: Architecture, ran: Pass) -> float:
    """Calculate the least floating-point operations of a pass: `step_flops` a row, its last part for `ran.logits`."""
    last = last_parameters(arch)
    attention = sum(
        n * arch.heads_of(layer) * _products(arch, layer, ran.logits if late else ran.positions, ran.context)
        for layer, n, late in arch.attending
    )
    scored = query_key_pairs(ran.positions, ran.context)
    indexing = sum(n * index_width(arch, layer) * scored for layer, n in arch.kinds)
    dense = 2.0 * ran.positions * (multiplied_parameters(arch) - last) + 2.0 * ran.logits * last
    return ran.rows * (dense + 2.0 * attention + 2.0 * indexing)


def multiplied_parameters(arch: Architecture) -> int:
    """Count the weights that a position is multiplied with, each as often as it runs in a pass."""
    return arch.active_parameters + arch.repeated_parameters


def last_parameters(arch: Architecture) -> int:
    """Count the parameters that run for the positions alone whose logits are asked for: the head, and late layers."""
    head = arch.vocab_size * arch.hidden_size if arch.head_parameters is None else arch.head_parameters
    return min(head + arch.late_parameters, arch.active_parameters)


def product_width(arch: Architecture, layer: LayerCache, *, past: bool = False) -> int:
    """Add the width of a query and that of a value, in one head of a layer.

    Layers may differ (Gemma 4). With a latent it is that of the keys and values that are computed from it, or for one
    position after a `past` that of the latent (`_latent_products`).
    """
    if arch.latent is None:
        return layer.head_dim + layer.value_dim
    widths = (arch.latent.key, arch.latent.value)
    return layer.value_dim + sum(layer.head_dim if past else min(layer.head_dim, width) for width in widths)


def index_width(arch: Architecture, layer: LayerCache) -> int:
    """Count the multiplications by which a layer's indexer scores one position for one query.

    A product with its key in each head, and the sum of the heads, each by its weight (DeepSeek-V3.2, arXiv:2512.02556,
    section 2.1), or the largest (MiniMax-M3). All positions are scored, as many as there are.
    """
    return arch.indexer.products if arch.indexer and layer.indexed else 0


def _products(arch: Architecture, layer: LayerCache, new_positions: int, context: int) -> int:
    """Count the multiplications of one head of a layer: its queries with keys, its weights with values."""
    pairs = query_key_pairs(new_positions, context, layer)
    if arch.latent is None:
        return pairs * product_width(arch, layer)
    return _latent_products(arch.latent, layer, new_positions, context, pairs)


def _latent_products(latent: Latent, layer: LayerCache, new_positions: int, context: int, pairs: int) -> int:
    """Count the least multiplications of one head with a cache of latents (DeepSeek-V2, arXiv:2405.04434, section 2.1).

    Keys and values are computed from the latents of all that is looked at, the past again in each pass, as
    transformers does (DeepseekV3Attention.expand_kv). Or the projection that would do so is applied to queries and
    results in place of them ("absorbed", section 2.1.2): it then runs for new positions alone, and each product is as
    wide as the latent. Counted is for keys and for values the way that takes less: the latter after a long past, the
    former without one. The projection's work on new positions is that of its weights, and the same in both ways.

    Where an indexer chooses the positions, all others are left out, as they can be; transformers computes and masks
    them.
    """
    rank, looked_at = layer.head_dim, context if layer.window is None else min(context, layer.window + 1)
    past = max(0, looked_at - new_positions)
    each = (min(pairs * rank, (pairs + past * rank) * width) for width in (latent.key, latent.value))
    return pairs * layer.value_dim + sum(each)


def query_key_pairs(new_positions: int, context: int, layer: LayerCache | None = None) -> int:
    """Count the query-key pairs of one row in one layer: each new position with itself and those before it.

    In a sliding layer the first `ramp` of them still see less than the window of W = layer.window + 1 positions, each
    one more than the position before it; all others see W. In a chunk of W the first position sees itself alone.
    """
    if layer and layer.chunked and layer.window is not None:
        return _chunked_pairs(context, layer.window + 1) - _chunked_pairs(context - new_positions, layer.window + 1)
    first = context - new_positions + 1
    window = context if layer is None or layer.window is None else layer.window + 1
    ramp = max(0, min(context, window) - first + 1)
    return ramp * first + ramp * (ramp - 1) // 2 + (new_positions - ramp) * window


def _chunked_pairs(positions: int, chunk: int) -> int:
    """Count the query-key pairs of a text from its beginning: a triangle for each chunk, and one for the rest."""
    whole, rest = divmod(positions, chunk)
    return whole * (chunk * (chunk + 1) // 2) + rest * (rest + 1) // 2


def decode_floor_s(weight_bytes: float, kv_bytes: float, bandwidth: float) -> float:
    """Calculate the least seconds of a decoding step: the bytes that it must read over `bandwidth`, in bytes a second.

    Weights and cache are each read once (Pope et al. 2022, section 2.1). One step gives each sequence of a batch its
    next token.
    """
    return (weight_bytes + kv_bytes) / bandwidth


def positions_uncached(prompt: int, new_tokens: int) -> int:
    """Count the positions run through the model without a cache: n·P + n(n-1)/2. Each step runs the whole text."""
    return new_tokens * prompt + new_tokens * (new_tokens - 1) // 2


def positions_cached(prompt: int, new_tokens: int) -> int:
    """Count the positions run through the model with a cache: P + n - 1. The last token is never fed back."""
    return prompt + new_tokens - 1 if new_tokens else 0


def most_positions(arch: Architecture, itemsize: int, budget: int, batch: int = 1) -> int | None:
    """Find the largest context whose cache fits into `budget` bytes, 0 if none does; None where no context is too long.

    None is for a cache that stops growing: one of sliding windows and states alone.
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
    """Find the smallest context at which one sequence's cache is larger than the weights; None if it never is."""
    most = most_positions(arch, itemsize, weight_bytes)
    return None if most is None else most + 1
