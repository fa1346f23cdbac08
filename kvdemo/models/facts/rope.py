"""Find the text lengths at which rotary factors change: longrope (Ding et al. 2024, arXiv:2402.13753).

Such a model (Phi-3, Phi-4-mini, Phi-3.5-MoE) rotates keys and queries by short factors while the text has at most
`original_max_position_embeddings` positions. In a longer text it rotates all of them by long factors, so a key that was
rotated before does not fit a later query. The other kinds keep their factors, or (`dynamic`) change them only beyond
`max_position_embeddings`, which no text here exceeds.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from weakref import WeakKeyDictionary

from transformers import PreTrainedConfig, PreTrainedModel, __version__
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.validation import show

_alone: WeakKeyDictionary[PreTrainedModel, AbstractContextManager[Any]] = WeakKeyDictionary()


def rope_parameters(config: Any) -> tuple[Mapping[str, Any], ...]:
    """List the rotary parameters that a text configuration names, for all layers or by kind of layer."""
    parameters = getattr(config, "rope_parameters", None) or {}
    parts = (parameters, *parameters.values())
    return tuple(part for part in parts if isinstance(part, Mapping) and "rope_type" in part)


def unknown(config: PreTrainedConfig, error: BadInput, name: str) -> BadInput | None:
    """Return what to say of a model that cannot be tried for its kind of rotary positions; None for another reason.

    transformers looks the kind up in a table and says no more than the word that is not in it.
    """
    missing = error.__cause__.args[:1] if isinstance(error.__cause__, KeyError) else ()
    stated = {part["rope_type"] for part in rope_parameters(config.get_text_config(decoder=True))}
    if not stated & set(missing):
        return None
    known = ", ".join(sorted(ROPE_INIT_FUNCTIONS))
    return BadInput(
        f"{name} has rotary positions of the type {show(missing[0])}, which transformers {__version__} does not know "
        f"for such a model: it knows default, {known}."
    )


def switch_lengths(config: Any) -> tuple[int, ...]:
    """List the lengths of text, in positions, beyond which other rotary factors hold; () for nearly all models."""
    here = getattr(config, "original_max_position_embeddings", None)
    found = {
        part.get("original_max_position_embeddings", here)
        for part in rope_parameters(config)
        if part["rope_type"] == "longrope"
    }
    return tuple(sorted(int(line) for line in found if line))


def pass_lock(network: PreTrainedModel) -> AbstractContextManager[Any]:
    """Return the lock that each forward pass holds: passes run one at a time where each sets factors in the model.

    Simultaneous lanes would read each other's factors. For all other models it locks nothing.
    """
    if network not in _alone:
        _alone[network] = (
            threading.Lock() if switch_lengths(network.config.get_text_config(decoder=True)) else nullcontext()
        )
    return _alone[network]
