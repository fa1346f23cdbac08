"""Compute tokens, one file a strategy; other installed packages may add some (`plugins`).

What a strategy states about itself is read from its source (`registry`); it is imported when it is first run.
Importing one imports torch, which takes seconds, and a page or a `--help` should not wait for that.
"""

from __future__ import annotations

import importlib
import logging
from functools import cache
from typing import TYPE_CHECKING

from kvdemo import samplers
from kvdemo.core.errors import BadInput, in_words
from kvdemo.core.settings import strategy_spec, validation
from kvdemo.strategies import plugins
from kvdemo.strategies.registry import StrategyInfo, discover

if TYPE_CHECKING:
    from kvdemo.models.loaded import LoadedModel
    from kvdemo.strategies.base import Strategy

__all__ = [
    "StrategyInfo",
    "check",
    "discover",
    "get",
    "introductions",
    "load",
    "passes_a_token",
    "read",
    "unavailable_reason",
]

log = logging.getLogger(__name__)


@cache
def introductions() -> dict[str, StrategyInfo]:
    """Return the strategies by id: those of this package, then those that other packages add."""
    own = discover(__name__)
    return own | plugins.discover(own)


def check(wanted: str) -> StrategyInfo:
    """Return the introduction of the strategy that a spec names, its settings checked. Raises BadInput."""
    return read(wanted)[0]


def passes_a_token(wanted: str) -> int:
    """Count the most forward passes that a strategy runs for one token, its draft model's included. Raises BadInput."""
    introduction, values, _ = read(wanted)
    return 1 + (int(values[introduction.drafts_from]) if introduction.drafts_from else 0)


def get(wanted: str) -> Strategy:
    """Make the strategy that a spec names, imported if need be, with its settings.

    Raises BadInput for a spec that names none, and for a strategy that cannot be imported.
    """
    introduction, values, sampling = read(wanted)
    try:
        return load(introduction)(**values, **sampling)
    except ImportError as error:
        raise BadInput(f"{introduction.name} cannot run here: {error}.") from error


def unavailable_reason(introduction: StrategyInfo, model: LoadedModel) -> str | None:
    """Say in a sentence why a strategy cannot run on this model here; None if it can.

    A strategy whose code fails is one that cannot run: it does not take the others down with it.
    """
    try:
        return load(introduction)().unavailable_reason(model)
    except ImportError as error:
        return f"{error}."
    except Exception as error:
        log.exception("%s could not be asked whether it can run", introduction.module)
        return f"{introduction.module} failed when it was asked whether it can run ({in_words(error)})."


def read(text: str) -> tuple[StrategyInfo, strategy_spec.Values, strategy_spec.Values]:
    """Read a spec: the strategy, the value of each of its settings, and the samplers' settings that are given.

    Raises BadInput, which quotes the spec: several lanes may have the same strategy.
    """
    strategy_id, given = strategy_spec.split(text)
    known = introductions()
    if strategy_id not in known:
        raise BadInput(f"There is no strategy {strategy_id[:80]!r}: choose from {', '.join(known)}.")
    introduction = known[strategy_id]
    taken = samplers.options() if introduction.samples else {}
    try:
        return introduction, *strategy_spec.read_lane(strategy_id, introduction.options, taken, given)
    except BadInput as error:
        raise BadInput(f"The lane {validation.show(text)} cannot run: {error}") from error


@cache
def load(introduction: StrategyInfo) -> type[Strategy]:
    """Import the class of a strategy. Raises ImportError, with the file's name, where that fails."""
    module = introduction.module
    try:
        found: type[Strategy] = getattr(importlib.import_module(module), introduction.class_name)
    except Exception as error:  # whatever the file runs into
        raise ImportError(f"{module} cannot be imported: {type(error).__name__}: {error}") from error
    return found
