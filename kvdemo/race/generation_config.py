"""Name what generate() applies by itself from a model's generation_config.json, and a lane only where it is told to."""

from __future__ import annotations

from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel
from transformers.generation import GenerationMode
from transformers.generation.logits_process import InfNanRemoveLogitsProcessor, LogitNormalization

from kvdemo.models.loaded import LoadedModel

#: Choosing the most likely token, drawing one, and having either guessed first write what a lane writes.
_AS_LANES = (GenerationMode.GREEDY_SEARCH, GenerationMode.SAMPLE, GenerationMode.ASSISTED_GENERATION)
#: They change no order of scores.
_WITHOUT_EFFECT = (LogitNormalization, InfNanRemoveLogitsProcessor)
#: Without these some settings do nothing, or cannot be applied.
_NEEDED_BY_OTHERS = ("top_k", "eos_token_id")


def not_applied(model: LoadedModel) -> list[str]:
    """Name the settings with which generate() may write another text than a lane."""
    network = model.network
    if not (settings := network.generation_config):
        return []
    stated = settings.to_diff_dict()
    found = [name for name in stated if name not in _NEEDED_BY_OTHERS and _has_effect(network, stated, name)]
    if not found:
        return []
    return [
        f"generate() would also apply {' and '.join(found)} of {model.id}'s generation_config.json, which no lane does "
        "unless its own settings say so: it may write another text."
    ]


def _has_effect(network: PreTrainedModel, stated: dict[str, Any], name: str) -> bool:
    """Ask transformers what it would do for one setting alone: change the scores, or search."""
    alone = GenerationConfig(**{one: stated[one] for one in (*_NEEDED_BY_OTHERS, name) if one in stated})
    alone.do_sample = False
    alone._eos_token_tensor = torch.tensor(alone.eos_token_id or 0).reshape(-1)  # as generate() prepares it
    if alone.get_generation_mode() not in _AS_LANES:
        return True
    try:
        applied = network._get_logits_processor(
            generation_config=alone, input_ids_seq_length=1, encoder_input_ids=torch.ones(1, 1), device="cpu"
        )
    except (TypeError, ValueError):  # generate() would not take it
        return True
    return any(not isinstance(one, _WITHOUT_EFFECT) for one in applied)
