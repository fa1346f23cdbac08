"""Measure a CPU's math library in the products that decoding consists of: one row with each of a model's matrices.

Each weight is read once for one multiplication, so the memory should be the limit. On some processors the library is:
MKL's one-row product of float32 reads 11.5 GB/s on an AMD CPU whose memory delivers 35. Measured are the model's own
matrices, as PyTorch multiplies them and as compiled code does, which packs them for it beforehand.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from kvdemo.models.facts import step_weights

Shape = tuple[int, int]
# A smaller matrix is multiplied in about a microsecond, most of which is the call and not the reading.
LEAST_BYTES = 64 * 1024
Product = Callable[[Tensor, Tensor], Callable[[], object]]


class Bench(Protocol):
    """Times calls (`kvdemo.measure.roofline.device_peaks`)."""

    def seconds(self, work: Callable[[], object]) -> float:
        """Return the median seconds of one call."""


def matrices(network: PreTrainedModel, name: str) -> Mapping[Shape, int]:
    """Count the linear layers of each shape (outputs, inputs) of a model's text part; a decoding step runs each once.

    `name` is the model's.

    Empty where those of `LEAST_BYTES` and more hold less than half of its parameters (gpt2 has other layers, so have
    mixtures of experts, a tiny model has tiny ones): then they do not stand for its step.
    """
    layers = [layer for layer in step_weights.linear_layers(network, name) if layer.weight.nbytes >= LEAST_BYTES]
    parts = step_weights.text_modules(network, name)
    weights = {weight for part in parts for weight in part.parameters(recurse=False)}
    held = sum(layer.weight.numel() for layer in layers)
    if 2 * held < sum(weight.numel() for weight in weights):
        return {}
    return Counter((layer.out_features, layer.in_features) for layer in layers)


def bytes_per_s(bench: Bench, dtype: torch.dtype, size: int, layers: Mapping[Shape, int], product: Product) -> float:
    """Measure a step's products: bytes of weights a second; 0 where there are none.

    For each shape, different matrices of `size` bytes in all, more than a cache holds, are multiplied in turn.
    """
    read = spent = 0.0
    for (outputs, inputs), count in layers.items():
        nbytes = outputs * inputs * dtype.itemsize
        copies = math.ceil(size / nbytes)
        row, weights = torch.randn(1, inputs, dtype=dtype), torch.randn(copies, outputs, inputs).to(dtype)
        calls = [product(row, weight) for weight in weights]

        def work(calls: list[Callable[[], object]] = calls) -> None:
            for call in calls:
                call()

        read += count * nbytes
        spent += count * bench.seconds(work) / copies
    return read / spent if spent else 0.0


def eager(row: Tensor, weight: Tensor) -> Callable[[], object]:
    """Multiply as an uncompiled layer does."""
    return lambda: functional.linear(row, weight)


def packed(row: Tensor, weight: Tensor) -> Callable[[], object]:
    """Multiply as compiled code does: inductor packs float32 for MKL, and 16-bit formats for oneDNN."""
    if weight.dtype == torch.float32 and torch._C.has_mkl:
        for_mkl = torch.ops.mkl._mkl_reorder_linear_weight(weight, 1)
        return lambda: torch.ops.mkl._mkl_linear(row, for_mkl, weight, None, 1)
    for_onednn = torch.ops.mkldnn._reorder_linear_weight(weight, 1)
    return lambda: torch.ops.mkldnn._linear_pointwise(row, for_onednn, None, "none", [], "")
