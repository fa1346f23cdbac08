"""Read and write a strategy with its settings as one word: `sliding_window:window=64:sinks=4`.

That word is what a link, a command line and a form carry for a lane. Settings that are left out have their defaults, so
a bare id is a spec too. Commas part the lanes of a list, colons the settings of a lane.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kvdemo.core.errors import BadInput
from kvdemo.core.settings import validation
from kvdemo.core.settings.declaration import read_value
from kvdemo.core.types import Option

Values = dict[str, float | str]


def split(spec: str) -> tuple[str, dict[str, str]]:
    """Split a spec into the id and each setting as it was written. Raises BadInput."""
    validation.short("lane", spec, validation.LONGEST)
    strategy_id, *settings = (part.strip() for part in spec.split(":"))
    given: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or name.strip() in given:
            raise BadInput(f"The lane {validation.show(spec)} cannot be read: write it as {strategy_id}:setting=value.")
        given[name.strip()] = value.strip()
    return strategy_id, given


def read(strategy_id: str, options: Mapping[str, Option], given: Mapping[str, Any]) -> Values:
    """Return the value of every setting, given or default. Raises BadInput for one that is unknown or out of bounds."""
    if unknown := [name for name in given if name not in options]:
        known = f"it has {', '.join(options)}" if options else "it has none"
        raise BadInput(f"{strategy_id} has no setting {validation.show(unknown[0])}: {known}.")
    return {
        name: read_value(option, given[name]) if name in given else option.default for name, option in options.items()
    }


def read_lane(
    strategy_id: str, options: Mapping[str, Option], samplers: Mapping[str, Option], given: Mapping[str, Any]
) -> tuple[Values, Values]:
    """Read a lane's settings: the value of every one of its own, and those of samplers that were given.

    `samplers` is empty for a strategy that has a rule of its own. Raises BadInput.
    """
    own = {name: value for name, value in given.items() if name not in samplers}
    if samplers and (unknown := [name for name in own if name not in options]):
        known = f"it has {', '.join(options)}, and takes" if options else "it takes"
        raise BadInput(
            f"{strategy_id} has no setting {validation.show(unknown[0])}: {known} the samplers' {', '.join(samplers)}."
        )
    sampling = {name: read_value(samplers[name], given[name]) for name in samplers if name in given}
    return read(strategy_id, options, own), sampling


def changed(options: Mapping[str, Option], values: Mapping[str, Any]) -> Values:
    """Return the settings that are not at their defaults."""
    return {name: values[name] for name, option in options.items() if values[name] != option.default}


def write(
    strategy_id: str,
    options: Mapping[str, Option],
    values: Mapping[str, Any],
    sampling: Mapping[str, Any] | None = None,
) -> str:
    """Write the shortest spec that `split` and `read_lane` turn back into these values and settings of samplers."""
    shown = changed(options, values) | dict(sampling or {})
    return ":".join([strategy_id, *(f"{name}={value}" for name, value in shown.items())])
