"""Say what a model's cache keeps of a text, and measure it on the loaded model where no formula gives it.

What the memory check counts must never be nothing because a model is unusual.
"""

from __future__ import annotations

import logging
from itertools import pairwise
from weakref import WeakKeyDictionary

import torch
from transformers import PreTrainedModel

from kvdemo.costs.architecture import LayerCache
from kvdemo.models.errors import out_of_memory
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import fitting_cache
from kvdemo.models.network.forward import cache_bytes, next_token_logits
from kvdemo.strategies.compatibility import trial

#: Positions that the cache holds when its bytes are read.
POSITIONS = (1, 2, 64)

log = logging.getLogger(__name__)

_measured: WeakKeyDictionary[PreTrainedModel, tuple[LayerCache, ...] | None] = WeakKeyDictionary()


def layers_of(model: LoadedModel) -> tuple[LayerCache, ...] | None:
    """Return what each layer keeps; one layer that keeps as much as all of them where no formula gives it.

    That one is measured once, by three passes of the model, so the caller must hold the device. None where the model
    keeps nothing in a cache that could be measured. Where nothing may be tried now, nothing is counted yet.
    """
    if model.layers is not None:
        return model.layers
    if model.network not in _measured:
        if trial.looks_up_only():
            return ()
        try:
            _measured[model.network] = _measure(model)
        except Exception as error:  # noqa: BLE001 - a model's code may raise anything
            log.info("What the cache of %s keeps could not be measured: %s", model.id, trial.shortened(error))
            if out_of_memory(error):  # says nothing of the model
                return None
            _measured[model.network] = None
    return _measured[model.network]


@torch.inference_mode()
def _measure(model: LoadedModel) -> tuple[LayerCache, ...] | None:
    cache = fitting_cache.dynamic_cache(model.network)
    held: dict[int, int] = {}
    for positions in POSITIONS:
        if positions <= (model.context_length or positions):
            next_token_logits(model, [0] * (positions - max(held, default=0)), cache)
            held[positions] = cache_bytes(cache)
    if not held or not all(held.values()):
        return None
    # By the steepest growth: a layer with a window soon ends to grow, and one may take room for several positions.
    grown = (-(-(held[after] - held[before]) // (after - before)) for before, after in pairwise(held))
    return (LayerCache("full", float32_elements=-(-held[1] // 4), index_bytes=max(grown, default=0)),)
