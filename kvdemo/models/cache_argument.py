"""How a model is handed a cache. The argument was called `past_key_values` until transformers 5.24 named it `cache`."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from transformers import Cache, PreTrainedModel


def cache_kwargs(network: PreTrainedModel, cache: Cache | None) -> dict[str, Any]:
    """The arguments of a pass that reads from a cache and adds to it; without one, of a pass that keeps nothing."""
    return {_name(network.__class__): cache, "use_cache": cache is not None}


def takes_cache(network: PreTrainedModel) -> bool:
    """Whether the model takes a cache at all; one that does not ignores the argument and says nothing."""
    return _name(network.__class__) in inspect.signature(network.__class__.forward).parameters


@functools.cache
def _name(network: type[PreTrainedModel]) -> str:
    return "cache" if "cache" in inspect.signature(network.forward).parameters else "past_key_values"
