"""Record what attention works on while a text runs through the model: queries, keys, values, weights.

A model of transformers looks up the function that computes attention by `AttentionInterface.get_interface`, and hands
it queries, keys (both rotated already) and values. While a text is recorded, the function that it gets notes these and
then calls the model's own, so that the model computes what it always does. Code that does not ask there, as that of
some older models, cannot be recorded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from kvdemo.core.errors import BadInput
from kvdemo.core.figures.units import count
from kvdemo.inside.panel import CannotShow
from kvdemo.models.facts import config_numbers
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.forward import forward, on_device

#: Queries of which the weights are computed at a time: in between, all heads take queries · positions numbers each.
QUERIES_AT_A_TIME = 128
# One forward pass at a time has its attention recorded.
_recording = threading.Lock()


@dataclass(frozen=True)
class Attended:
    """What attention worked on in one layer. Keys and values are those of key-value heads, not repeated for queries.

    queries       (1, heads, positions, width), rotated
    keys, values  (1, kv_heads, positions, width), keys rotated
    weights       (heads, queries, positions): of the last queries, as many as were asked for; None where none were
    module        the name of the class that computes this layer's attention
    """

    queries: Tensor
    keys: Tensor
    values: Tensor
    weights: Tensor | None
    module: str


@torch.inference_mode()
def capture(
    model: LoadedModel, ids: Sequence[int], layers: Collection[int], weights: int = 0, head: int | None = None
) -> dict[int, Attended]:
    """Run a text through the model without a cache, and return what the chosen layers attended to, by layer.

    `weights` is the number of last queries whose weights are kept too; `head` keeps those of one head alone. The
    caller holds the device. Raises CannotShow, naming the layer, where one has no queries and keys or hides them.
    """
    recorder = _Recorder(model, frozenset(layers), weights, head)
    keep = config_numbers.logits_for_all_layers(model.config, len(ids))
    with recorder.recording():
        forward(model, on_device(model, ids)[None], None, keep)
    return {layer: recorder.found(layer, len(ids)) for layer in layers}


def check_layer(model: LoadedModel, layer: int, head: int = 0) -> None:
    """Raise BadInput, naming the largest that there is, for a layer or a head beyond the model's."""
    layers = model.layer_count
    if layer >= layers > 0:
        raise BadInput(f"{model.id} has {count(layers, 'layer')}, counted from 0: choose layer {layers - 1} or lower.")
    there = heads(model, layer)
    if head >= there > 0:
        raise BadInput(
            f"Layer {layer} of {model.id} has {count(there, 'head')}, counted from 0: choose head {there - 1} or lower."
        )


def heads(model: LoadedModel, layer: int) -> int:
    """Return the query heads of a layer; the most that any has where its own are not known, 0 without attention."""
    known = model.layers[layer].query_heads if model.layers else 0
    return known or max(config_numbers.whole_numbers(model.config, "num_attention_heads"), default=0)


def check_keeps(model: LoadedModel, layer: int, held: Attended) -> None:
    """Raise CannotShow unless the keys that a layer attends to are those that it keeps in a cache."""
    if model.layers is None:
        raise CannotShow(f"What the cache of {model.id} keeps of a text follows no known shapes.")
    kept = model.layers[layer]
    if not kept.kv_heads:
        raise CannotShow(
            f"Layer {layer} of {model.id} ({held.module}) keeps no keys and values: it reads those of another layer."
        )
    if (kept.kv_heads, kept.head_dim, kept.value_dim) != (held.keys.shape[1], held.keys.shape[3], held.values.shape[3]):
        raise CannotShow(
            f"Layer {layer} of {model.id} ({held.module}) does not keep its keys and values themselves: it keeps a "
            "vector from which it computes them again."
        )


@dataclass
class _Recorder:
    """Notes what the attention of one network is called with."""

    model: LoadedModel
    layers: frozenset[int]
    weights: int
    head: int | None
    attended: dict[int, list[Attended]] = field(default_factory=dict)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Have every lookup answered with a function that notes the call, for modules of this network alone."""
        own = ALL_ATTENTION_FUNCTIONS.get_interface
        mine = {id(module) for module in self.model.network.modules()}

        def get_interface(implementation: str, default: Callable[..., Any]) -> Callable[..., Any]:
            function = own(implementation, default)

            def attention(module: Any, *tensors: Any, **options: Any) -> Any:
                out = function(module, *tensors, **options)
                if id(module) in mine and getattr(module, "layer_idx", None) in self.layers:
                    self._note(module, tensors, options, out[0], default)
                return out

            return attention

        with _recording:
            ALL_ATTENTION_FUNCTIONS.get_interface = get_interface
            try:
                yield
            finally:
                del ALL_ATTENTION_FUNCTIONS.get_interface  # the class's own is found again

    def _note(
        self, module: Any, tensors: tuple[Any, ...], options: Any, out: Tensor, eager: Callable[..., Any]
    ) -> None:
        queries, keys, values, mask = (*tensors, options.get("attention_mask"))[:4]
        weights = None
        if self.weights:
            weights = self._weights(module, (queries, keys, values, mask), options, out, eager)
        name = type(module).__name__
        self.attended.setdefault(module.layer_idx, []).append(Attended(queries, keys, values, weights, name))

    def _weights(
        self, module: Any, tensors: tuple[Any, ...], options: Any, out: Tensor, eager: Callable[..., Any]
    ) -> Tensor:
        """Compute the weights of the last queries by the model's own function that keeps them, a few at a time.

        What it puts out is compared with what the model's own attention did: kernels may do what it does not.
        """
        queries, keys, values, mask = tensors
        given = {name: value for name, value in options.items() if name != "attention_mask"}
        total, kept = queries.shape[2], []
        for start in range(max(0, total - self.weights), total, QUERIES_AT_A_TIME):
            end = min(start + QUERIES_AT_A_TIME, total)
            hidden = _added(mask, queries, keys, range(start, end))
            result, weights = eager(module, queries[:, :, start:end], keys, values, hidden, **given)
            if not _same(result, out[:, start:end]):
                raise CannotShow(
                    f"{self.model.id} computes attention with {self.model.attention}, which gives no weights, and "
                    "weights computed by other means do not lead to the same output."
                )
            kept.append(weights[0] if self.head is None else weights[0, self.head, None])
        return torch.cat(kept, dim=1)

    def found(self, layer: int, positions: int) -> Attended:
        """Return what a layer attended to. Raises CannotShow."""
        calls = self.attended.get(layer, [])
        if not calls:
            raise CannotShow(self._why_not(layer))
        if len(calls) > 1 or any(tensor.ndim != 4 or tensor.shape[2] != positions for tensor in _parts(calls[0])):
            raise CannotShow(
                f"Layer {layer} of {self.model.id} ({calls[0].module}) does not attend once to each position, so it "
                "cannot be drawn as queries and keys of the text."
            )
        return calls[0]

    def _why_not(self, layer: int) -> str:
        named = {
            type(module).__name__: None
            for module in self.model.network.modules()
            if getattr(module, "layer_idx", None) == layer
        }
        mixers = [name for name in named if not name.endswith(("Layer", "Block"))] or list(named)
        if not mixers:  # the parts of this model do not say which layer they are of
            return (
                f"Layer {layer} of {self.model.id} runs in code of its own, which hides what it attends to, if it does."
            )
        what = f" ({', '.join(mixers)})"
        if any("attention" in name.lower() for name in mixers):
            return (
                f"Layer {layer} of {self.model.id}{what} computes attention in code of its own, which hides its keys."
            )
        return f"Layer {layer} of {self.model.id}{what} has no attention: it has no queries, keys and values to show."


def _parts(held: Attended) -> tuple[Tensor, Tensor, Tensor]:
    return held.queries, held.keys, held.values


def _added(mask: Tensor | None, queries: Tensor, keys: Tensor, rows: range) -> Tensor:
    """Make the mask of some queries as numbers that are added to the scores. Without a mask attention is causal."""
    if mask is None:
        mask = torch.ones(queries.shape[2], keys.shape[2], dtype=torch.bool, device=queries.device).tril()[None, None]
    part = mask[:, :, rows.start : rows.stop]
    if part.dtype != torch.bool:
        return part
    least = torch.finfo(queries.dtype).min
    return torch.zeros(part.shape, dtype=queries.dtype, device=part.device).masked_fill(~part, least)


def _same(one: Tensor, other: Tensor) -> bool:
    tolerance = 16 * torch.finfo(one.dtype).eps
    scale = float(other.abs().max())
    return one.shape == other.shape and float((one - other).abs().max()) <= tolerance * max(scale, 1.0) + 1e-5 * scale
