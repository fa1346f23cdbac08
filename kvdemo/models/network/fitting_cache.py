"""Make a cache of transformers whose layers keep what the model's code looks at.

transformers makes the layers of a cache from the configuration, and the model's code makes the mask. The two may differ
(`windows`): then a cache made from the configuration alone drops positions that the model still looks at, and
`generate()` writes a wrong text without an error. So every cache of a lane is made here.
"""

from __future__ import annotations

import logging
from weakref import WeakKeyDictionary

from transformers import DynamicCache, PreTrainedModel, StaticCache

from kvdemo.core.errors import BadInput
from kvdemo.models.facts import meta_run
from kvdemo.models.network import windows

log = logging.getLogger(__name__)

_stated: WeakKeyDictionary[PreTrainedModel, windows.Stated] = WeakKeyDictionary()


def dynamic_cache(network: PreTrainedModel, *, offloading: bool = False) -> DynamicCache:
    """Make an empty cache that grows, whose layers drop only what the model does not look at."""
    return fitted(DynamicCache(config=network.config, offloading=offloading), network)


def fitted(cache: DynamicCache, network: PreTrainedModel) -> DynamicCache:
    """Have an empty cache that grows drop only what the model does not look at; return it."""
    return windows.without(cache, stated_windows(network).unused)


def static_cache(network: PreTrainedModel, max_cache_len: int) -> StaticCache:
    """Make an empty cache that reserves `max_cache_len` positions, fewer where the model looks at fewer.

    Raises KeyError for a kind of layer that cannot be reserved.
    """
    cache = StaticCache(config=network.config, max_cache_len=max_cache_len)
    return windows.without(cache, stated_windows(network).unused, max_cache_len)


def stated_windows(network: PreTrainedModel) -> windows.Stated:
    """Compare the windows in a loaded model's configuration with the masks of its code.

    Once, on a copy on the meta device that is made in up to a second; not at all where no window is stated.
    """
    if network not in _stated:
        _stated[network] = _find(network)
    return _stated[network]


def _find(network: PreTrainedModel) -> windows.Stated:
    stated = windows.of(DynamicCache(config=network.config))
    if not stated:
        return windows.Stated({}, frozenset())
    try:
        return meta_run.run_trial(network.config, type(network).__name__, type(network)).windows
    except BadInput as error:  # a model that cannot be built without its weights
        log.info("the masks of %s could not be seen: %s", type(network).__name__, error)
        return windows.Stated({}, frozenset(stated))
