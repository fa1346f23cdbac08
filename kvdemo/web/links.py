"""A race or a measurement as a link. `?prompt=…&model=…&tokens=64&lanes=reencode,dynamic_cache&run=1` fills the form.

With `tab=measure` it is the measuring form. `measurement=<run id>` is the browser's to read (static/measure.js).

`lanes` holds a spec for each lane: the id of a strategy, and its settings if they are not at their defaults, as in
`lanes=dynamic_cache,sliding_window:window=64:sinks=4`.

Reading is forgiving: a value that its control cannot hold is left out and named in a notice, and everything else
goes to the form as it is, since the race says better what is wrong with it. Writing is the browser's job
(static/share.js), which knows what the form holds now; and is handed the names of the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}


def _flag(text: str) -> bool:
    if text.lower() in TRUE | FALSE:
        return text.lower() in TRUE
    raise ValueError("is neither 1 nor 0")


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("is not a whole number") from None


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("is not a number") from None
    if not math.isfinite(number):
        raise ValueError("is not a finite number")
    return number


def _lanes(text: str) -> str:
    return ",".join(part.strip() for part in text.split(",") if part.strip())


#: query name -> (form key, how to read it)
Parameters = Mapping[str, tuple[str, Callable[[str], Any]]]
_BOTH: Parameters = {
    "prompt": ("prompt", str),
    "model": ("model", str),
    "tokens": ("max_new_tokens", _whole),
    "lanes": ("strategies", _lanes),
    "temperature": ("temperature", _number),
    "top_p": ("top_p", _number),
    "seed": ("seed", _whole),
    "chat": ("chat", _flag),
}
RACE: Parameters = {**_BOTH, "schedule": ("schedule", str), "ignore_eos": ("ignore_eos", _flag)}
MEASURE: Parameters = {
    **_BOTH,
    "repeats": ("repeats", _whole),
    "warmup": ("warmup", _whole),
    "sweep_prompt": ("sweep_prompt", str),
    "sweep_tokens": ("sweep_tokens", str),
}


def names(parameters: Parameters) -> dict[str, str]:
    """The query name of each form key, for whoever writes a link."""
    return {key: name for name, (key, _) in parameters.items()}


@dataclass(frozen=True)
class Link:
    """What a link asks for: form values, whether to start at once, and what could not be used."""

    form: dict[str, Any] = field(default_factory=dict)
    run: bool = False
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Known:
    """What a link may name: the settings of each strategy by its id, and the schedules."""

    strategies: Mapping[str, Collection[str]]
    schedules: Collection[str]


def read(query: Mapping[str, str], known: Known, parameters: Parameters = RACE) -> Link:
    """Read query parameters."""
    form: dict[str, Any] = {}
    notices: list[str] = []
    for name, (key, convert) in parameters.items():
        if name not in query:
            continue
        try:
            value = convert(query[name])
            if key == "strategies":
                _check_lanes(value, known.strategies)
            elif key == "schedule" and value not in known.schedules:
                raise ValueError("is unknown here")
            form[key] = value
        except ValueError as error:
            notices.append(f"The link's {name} {_quoted(query[name])} {error}, so the form keeps its own.")
    return Link(form, query.get("run", "").lower() in TRUE, tuple(notices))


def _check_lanes(lanes: str, known: Mapping[str, Collection[str]]) -> None:
    """Raise ValueError unless the lane picker can hold these lanes. What a setting may be is the race's to say."""
    for lane in lanes.split(",") if lanes else ():
        strategy, *settings = lane.split(":")
        alone = lane == lanes
        if strategy not in known:
            raise ValueError("is unknown here" if alone else f"has an unknown entry ({_quoted(strategy)})")
        for setting in settings:
            name, equals, _ = setting.partition("=")
            if not equals:
                raise ValueError(f"has a setting without a value ({_quoted(setting)})")
            if name not in known[strategy]:
                raise ValueError(f"has a setting that {strategy} does not know ({_quoted(name)})")


def _quoted(text: str) -> str:
    return f"“{text if len(text) <= 60 else text[:57] + '…'}”"
