"""Pass a cache to a model. The argument was called `past_key_values` until transformers 5.24 named it `cache`."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from transformers import Cache, PreTrainedModel


def cache_kwargs(network: PreTrainedModel, cache: Cache | None) -> dict[str, Any]:
    """Build the arguments of a pass that reads from a cache and adds to it, or without one keeps nothing."""
    return {_name(network.__class__): cache, "use_cache": cache is not None}


def takes_cache(network: PreTrainedModel) -> bool:
    """Tell whether the model takes a cache; one that does not would ignore the argument without an error."""
    return _name(network.__class__) in inspect.signature(network.__class__.forward).parameters


@functools.cache
def _name(network: type[PreTrainedModel]) -> str:
    return "cache" if "cache" in inspect.signature(network.forward).parameters else "past_key_values"
