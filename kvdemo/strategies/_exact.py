"""What the model itself, with nothing approximated, thinks of a text that another cache wrote.

Its tokens are given to the model as they are (teacher forcing), so that two caches are compared on one text, also
where each would have gone on differently. This is a run of its own: it belongs behind the race, never into a step.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import DynamicCache

from kvdemo.models.cache_argument import using
from kvdemo.models.loaded import LoadedModel

# Positions at a time: all logits of a long text at once would be gigabytes.
_CHUNK = 64


@torch.inference_mode()
def logprobs(model: LoadedModel, prompt_ids: Sequence[int], tokens: Sequence[int]) -> list[float]:
    """The natural logarithm of each token's probability behind the prompt and the tokens before it."""
    cache = DynamicCache(config=model.network.config)
    ids = torch.tensor([*prompt_ids, *tokens], device=model.device)
    start, found = len(prompt_ids) - 1, []
    if start:
        model.network(input_ids=ids[None, :start], logits_to_keep=1, **using(model.network, cache))
    while start < len(ids) - 1:
        end = min(start + _CHUNK, len(ids) - 1)
        logits = model.network(input_ids=ids[None, start:end], **using(model.network, cache)).logits[0]
        rows = logits.float().log_softmax(-1)
        found += rows.gather(1, ids[start + 1 : end + 1, None])[:, 0].tolist()
        start = end
    return found
