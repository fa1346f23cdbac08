"""Attention fed in pieces gives what torch's own attention gives over the whole text, however it is split."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from kvdemo.core.settings.inside import Blocks
from kvdemo.inside.cached_attention import CachedAttention
from kvdemo.inside.panels.scratch import full_attention, random_attention

HEADS = st.integers(1, 4)


def by_hand(attention: CachedAttention, x: torch.Tensor) -> torch.Tensor:
    """Causal attention by an explicit mask, the heads one at a time."""
    size = attention.head_dim
    query, key, value = (part(x) for part in (attention.to_query, attention.to_key, attention.to_value))
    mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril()
    heads = [
        scaled_dot_product_attention(
            query[..., at : at + size], key[..., at : at + size], value[..., at : at + size], attn_mask=mask
        )
        for at in range(0, x.shape[2], size)
    ]
    return torch.cat(heads, -1) @ attention.to_output.weight.T


@given(st.data(), st.integers(1, 3), HEADS, st.integers(1, 8), st.integers(1, 12), st.integers(0, 2**32))
@torch.inference_mode()
def test_the_result_does_not_depend_on_the_split_of_the_text(
    data: st.DataObject, rows: int, heads: int, head_dim: int, positions: int, seed: int
) -> None:
    attention, x = random_attention(Blocks(heads * head_dim, heads, positions, seed), rows)
    cuts = sorted(data.draw(st.sets(st.integers(1, max(positions - 1, 1))))) if positions > 1 else []
    pieces = [attention(x[:, start:end], start) for start, end in itertools.pairwise([0, *cuts, positions])]
    whole = by_hand(attention, x)
    torch.testing.assert_close(torch.cat(pieces, 1), whole, rtol=0, atol=1e-6)
    torch.testing.assert_close(full_attention(attention, x), whole, rtol=0, atol=1e-6)


@torch.inference_mode()
def test_the_buffers_are_allocated_once_and_hold_keys_and_values_alone() -> None:
    attention, x = random_attention(Blocks(dim=8, heads=2, positions=6), rows=2)
    before = attention.keys.data_ptr(), attention.values.data_ptr()
    attention(x[:, :4], 0)
    attention(x[:, 4:5], 4)
    assert (attention.keys.data_ptr(), attention.values.data_ptr()) == before
    assert attention.keys.shape == attention.values.shape == (2, 6, 2, 4)
    torch.testing.assert_close(attention.keys[:, :5].flatten(2), attention.to_key(x[:, :5]))
    assert not attention.values[:, 5:].any()


@torch.inference_mode()
def test_a_new_text_overwrites_the_buffers() -> None:
    attention, x = random_attention(Blocks(dim=8, heads=2, positions=6), rows=2)
    attention(torch.randn(2, 6, 8), 0)
    torch.testing.assert_close(attention(x[:1, :3], 0), full_attention(attention, x[:1, :3]))


@pytest.mark.parametrize(("rows", "start", "new"), [(1, 0, 7), (1, 6, 1), (1, 4, 3), (3, 0, 1)])
def test_more_than_the_buffers_hold_is_refused(rows: int, start: int, new: int) -> None:
    attention, _ = random_attention(Blocks(dim=8, heads=2, positions=6), rows=2)
    with pytest.raises(ValueError, match=f"no room for {rows} rows of {start + new} positions.* 2 of 6"):
        attention(torch.zeros(rows, new, 8), start)
    assert not attention.keys.any()
