"""Move a cached key to another position, in models with rotary positions.

With rotary positions (RoPE, Su et al. 2021, arXiv:2104.09864) a query at position t and a key at position p meet at an
angle that depends on t - p alone. Turning the key by the angle of n positions is therefore the same as having computed
it n positions further on; no other number in the cache changes. Other kinds of positions leave no such way back: a
learned position (GPT-2) is added to the token before the first layer and goes through everything after it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedModel


def rotate_keys(network: PreTrainedModel, keys: Tensor, by: int) -> Tensor:
    """Rotate keys, shape (..., positions, head_dim), as if each had been computed `by` positions further on."""
    full = keys.float()
    cos, sin = network.get_decoder().rotary_emb(full, torch.tensor([[by]], device=keys.device))
    width = cos.shape[-1]  # some models turn only the first part of a head
    part, rest = full[..., :width], full[..., width:]
    half = torch.cat((-part[..., width // 2 :], part[..., : width // 2]), dim=-1)
    return torch.cat((part * cos + half * sin, rest), dim=-1).to(keys.dtype)
