"""Name a lane by its strategy and its settings."""

from __future__ import annotations

from collections.abc import Mapping

from kvdemo.core.settings import strategy_spec
from kvdemo.core.types import Option
from kvdemo.samplers import Rule

Values = Mapping[str, float | str]


def lane_name(strategy: str, options: Mapping[str, Option], values: Values, sampling: Values) -> str:
    """Name a lane: "Sliding window (window 64) · temperature 0.8".

    Settings that are not at their defaults are part of the name, and so are those of samplers that the lane was given.
    `strategy` is what people call the strategy.
    """
    changed = strategy_spec.changed(options, values)
    settings = ", ".join(options[name].spoken(value) for name, value in changed.items())
    name = f"{strategy} ({settings})" if settings else strategy
    return f"{name} · {Rule(given=sampling).label}" if sampling else name
