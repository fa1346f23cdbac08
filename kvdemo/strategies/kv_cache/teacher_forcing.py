"""Calculate the exact model's log-probabilities of a text that another cache wrote (teacher forcing).

The text's tokens are fed to the model as they are, so that two caches are compared on one text, also where each would
have gone on differently. This is a run of its own: it belongs after the race, never into a step.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from kvdemo.core.cancellation import CancelToken
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import fitting_cache
from kvdemo.models.network.forward import forward
from kvdemo.strategies.longrope import Factors

# Positions at a time. All logits of a long text at once would be gigabytes, and one pass over it deaf to Stop.
_CHUNK, _PREFILL = 64, 512


@torch.inference_mode()
def logprobs(
    model: LoadedModel, prompt_ids: Sequence[int], tokens: Sequence[int], stop: CancelToken
) -> list[float] | None:
    """Calculate the natural logarithm of each token's probability after the prompt and the tokens before it.

    None where `stop` is set before the end; it is looked at before each pass.
    """
    ids = torch.tensor([*prompt_ids, *tokens], device=model.device)
    cache, factors, held = fitting_cache.dynamic_cache(model.network), Factors(model), 0
    start, found = len(prompt_ids) - 1, []
    while start < len(ids) - 1:
        if stop.is_set():
            return None
        if factors.change(start + 1):
            cache, held = fitting_cache.dynamic_cache(model.network), 0
        if start - held > _PREFILL and not factors.lines:  # where there are lines, a part would be run by other factors
            forward(model, ids[None, held : held + _PREFILL], cache)
            held += _PREFILL
            continue
        end = min(start + 1 + factors.room(start + 1, _CHUNK - 1), len(ids) - 1)
        rows = forward(model, ids[None, held:end], cache, keep=end - start)[0].float().log_softmax(-1)
        found += rows.gather(1, ids[start + 1 : end + 1, None])[:, 0].tolist()
        start = held = end
    return found
