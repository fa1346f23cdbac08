"""Feed attention with preallocated buffers token by token, and compare it with attention over the whole text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

import kvdemo
from kvdemo.core.settings.inside import Blocks
from kvdemo.inside import cached_attention
from kvdemo.inside.cached_attention import CachedAttention
from kvdemo.inside.panel import Subject

#: The most that the two may be apart: float32 rounding of outputs below 1.
TOLERANCE = 1e-6


def show(subject: Subject) -> Mapping[str, Any]:
    """Run both on random numbers of the sizes that were asked for. The model has no part in it."""
    blocks = subject.request.blocks
    attention, x = random_attention(blocks)
    with torch.inference_mode():
        whole = full_attention(attention, x)
        steps = []
        for at in range(blocks.positions):
            subject.check()
            row = attention(x[:, at : at + 1], start_pos=at)
            difference = float((row - whole[:, at : at + 1]).abs().max())
            steps.append({"start_pos": at, "positions": 1, "buffer_used": at + 1, "largest_difference": difference})
    path = Path(cached_attention.__file__)
    largest = max(step["largest_difference"] for step in steps)
    return {
        "path": path.relative_to(Path(kvdemo.__file__).parents[1]).as_posix(),
        "source": path.read_text(encoding="utf-8"),
        "buffer_shape": list(attention.keys.shape),
        "steps": steps,
        "largest_difference": largest,
        "tolerance": TOLERANCE,
        "holds": largest <= TOLERANCE,
    }


def random_attention(blocks: Blocks, rows: int = 1) -> tuple[CachedAttention, Tensor]:
    """Make attention with random weights, and random inputs of shape (rows, positions, dim); on the CPU, in float32."""
    numbers = torch.Generator().manual_seed(blocks.seed)
    attention = CachedAttention(blocks.dim, blocks.heads, rows, blocks.positions)
    for weight in attention.parameters():
        bound = blocks.dim**-0.5  # as nn.Linear draws them
        nn.init.uniform_(weight, -bound, bound, generator=numbers)
    return attention, torch.randn(rows, blocks.positions, blocks.dim, generator=numbers)


def full_attention(attention: CachedAttention, x: Tensor) -> Tensor:
    """Run all positions at once with the same weights, by torch's own attention: (B, T, dim) to (B, T, dim)."""
    queries, keys, values = (
        project(x).unflatten(2, (attention.heads, attention.head_dim)).transpose(1, 2)  # (B, H, T, D)
        for project in (attention.to_query, attention.to_key, attention.to_value)
    )
    mixed = scaled_dot_product_attention(queries, keys, values, is_causal=True)
    return attention.to_output(mixed.transpose(1, 2).flatten(2))
