"""How a model is handed a cache. The argument was called `past_key_values` until transformers 5.24 named it `cache`."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from transformers import Cache, PreTrainedModel


def using(network: PreTrainedModel, cache: Cache | None) -> dict[str, Any]:
    """The arguments of a forward pass that reads from a cache and adds to it; without one, of one that keeps nothing."""
    return {_name(network.__class__): cache, "use_cache": cache is not None}


@functools.cache
def _name(network: type[PreTrainedModel]) -> str:
    return "cache" if "cache" in inspect.signature(network.forward).parameters else "past_key_values"
