"""Name what generate() does by itself, and a lane not.

It applies settings of the model's files, numbers positions from 0 on, and believes windows that no code uses.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel
from transformers.generation import GenerationMode
from transformers.generation.logits_process import InfNanRemoveLogitsProcessor, LogitNormalization
from transformers.generation.stopping_criteria import EosTokenCriteria, MaxLengthCriteria, StoppingCriteriaList

from kvdemo.costs import unused_windows
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import fitting_cache
from kvdemo.race import padding

#: Choosing the most likely token, drawing one, and having either guessed first write what a lane writes.
_AS_LANES = (GenerationMode.GREEDY_SEARCH, GenerationMode.SAMPLE, GenerationMode.ASSISTED_GENERATION)
#: They change no order of scores, or stop where a lane stops too.
_WITHOUT_EFFECT = (LogitNormalization, InfNanRemoveLogitsProcessor, EosTokenCriteria, MaxLengthCriteria)
#: Without these some settings do nothing, or cannot be applied.
_NEEDED_BY_OTHERS = ("top_k", "eos_token_id")


def done_otherwise(model: LoadedModel) -> list[str]:
    """List why generate() may write another text than a lane."""
    return not_applied(model) + positions_from_0(model) + past_dropped(model)


def past_dropped(model: LoadedModel) -> list[str]:
    """Say that generate() writes a wrong text where the configuration states a window that the code does not use."""
    stated = fitting_cache.stated_windows(model.network).unused
    layers = len(fitting_cache.dynamic_cache(model.network).layers)
    return [unused_windows.sentence(model.id, list(stated.values()), layers)] if stated else []


def positions_from_0(model: LoadedModel) -> list[str]:
    """Say where generate() numbers positions in another way than the model's own code, which the lanes leave it to.

    RoBERTa and its like have no place for a text below the one of padding, so their code begins behind it.
    """
    row = padding.row_of_padding(model)
    if row is None:
        return []
    return [
        f"generate() tells {model.id} that the text begins at position 0. The model's own code begins at {row + 1}, "
        "behind the place of padding, and so do all lanes: generate() may write another text."
    ]


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
    """Ask transformers what it would do for one setting alone: change the scores, search, or stop early."""
    alone = GenerationConfig(**{one: stated[one] for one in (*_NEEDED_BY_OTHERS, name) if one in stated})
    alone.do_sample = False
    alone._eos_token_tensor = torch.tensor(alone.eos_token_id or 0).reshape(-1)  # as generate() prepares it
    if alone.get_generation_mode() not in _AS_LANES:
        return True
    try:
        applied = network._get_logits_processor(
            generation_config=alone, input_ids_seq_length=1, encoder_input_ids=torch.ones(1, 1), device="cpu"
        )
        applied += network._get_stopping_criteria(alone, StoppingCriteriaList())
    except (TypeError, ValueError):  # generate() would not take it, or strings to stop at not without a tokenizer
        return True
    return any(not isinstance(one, _WITHOUT_EFFECT) for one in applied)
