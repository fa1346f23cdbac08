"""Attention that keeps keys and values, so that a text can be fed in pieces.

A position's key and value depend on that position's input alone. They are computed once, written into a buffer, and
read by every later query. A query is used in its own step and never again, so queries are not kept.

Shapes: B rows, S new positions, T positions so far, H heads, D numbers a head.
"""

import torch
from torch import Tensor, nn


class CachedAttention(nn.Module):
    """Causal attention with room for `max_seq_len` positions, allocated once."""

    keys: Tensor  # (max_batch, max_seq_len, H, D)
    values: Tensor  # the same

    def __init__(self, dim: int, heads: int, max_batch: int, max_seq_len: int) -> None:
        super().__init__()
        self.heads, self.head_dim = heads, dim // heads
        self.to_query = nn.Linear(dim, dim, bias=False)
        self.to_key = nn.Linear(dim, dim, bias=False)
        self.to_value = nn.Linear(dim, dim, bias=False)
        self.to_output = nn.Linear(dim, dim, bias=False)
        room = (max_batch, max_seq_len, self.heads, self.head_dim)
        self.register_buffer("keys", torch.zeros(room), persistent=False)
        self.register_buffer("values", torch.zeros(room), persistent=False)

    def forward(self, x: Tensor, start_pos: int) -> Tensor:
        """Run the positions from `start_pos` on: (B, S, dim) to (B, S, dim). All positions before must have been run.

        Raises ValueError where the buffers have no room for them.
        """
        rows, new, _ = x.shape
        end = start_pos + new
        max_batch, max_seq_len, _, _ = self.keys.shape
        if rows > max_batch or end > max_seq_len:
            raise ValueError(
                f"no room for {rows} rows of {end} positions: there is room for {max_batch} of {max_seq_len}"
            )

        queries = self.to_query(x).view(rows, new, self.heads, self.head_dim)  # (B, S, H, D)
        self.keys[:rows, start_pos:end] = self.to_key(x).view_as(queries)
        self.values[:rows, start_pos:end] = self.to_value(x).view_as(queries)
        keys, values = self.keys[:rows, :end], self.values[:rows, :end]  # (B, T, H, D), T = start_pos + S

        scores = torch.einsum("bshd,bthd->bhst", queries, keys) / self.head_dim**0.5  # (B, H, S, T)
        position = torch.arange(end, device=x.device)
        is_later = position > position[start_pos:, None]  # (S, T): key t comes after query s
        weights = scores.masked_fill(is_later, float("-inf")).softmax(-1)
        mixed = torch.einsum("bhst,bthd->bshd", weights, values)  # (B, S, H, D)
        return self.to_output(mixed.flatten(2))
