"""Read the form from a link: `?prompt=…&model=…&tokens=64&lanes=reencode,dynamic_cache&run=1`.

With `tab=measure` it is the measuring form. `measurement=<run id>` is the browser's to read (frontend/measure/view.js).
`predict=1`, which asks for a guess before the race, is the browser's too (frontend/race/predict/predict.js).
With `tab=inside` it is that form; what its panels vary is the browser's to read (frontend/inside/settings.js).

`lanes` holds a spec for each lane: the id of a strategy, its settings if they are not at their defaults, and those of
samplers that it is given, as in `lanes=dynamic_cache:temperature=0.8,sliding_window:window=64:sinks=4`.

A value that its control cannot hold is left out and named in a notice. Everything else goes to the form as it is,
because the race reports better what is wrong with it. The browser writes links (frontend/form/share.js), because it
knows what the form holds now; it gets the names of the parameters from here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kvdemo.core.settings.declaration import Setting, offered
from kvdemo.core.settings.inside import InsideRequest
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.settings.validation import SWITCHES, plain_digits
from kvdemo.core.types import Kind

N = TypeVar("N", int, float)
#: The largest whole number that a browser holds exactly.
LARGEST = 2**53 - 1

#: What is left of a link that is too long (`guard.protection`).
TOO_LONG = "too_long"
#: The settings that a link may name of each strategy's lanes, by the strategy's id.
Strategies = Mapping[str, Collection[str]]
#: Each setting that a link may hold, by its name there: the form key, and the setting.
Parameters = Mapping[str, tuple[str, Setting]]


def _flag(text: str) -> bool:
    word = text.lower()
    if word and word not in SWITCHES:
        raise ValueError("is neither 1 nor 0")
    return bool(word) and SWITCHES[word]


def _whole(text: str) -> int:
    try:
        return _held(int(plain_digits(text)))
    except OverflowError:
        raise ValueError("is too large") from None
    except ValueError:
        raise ValueError("is not a whole number") from None


def _number(text: str) -> float:
    try:
        number = float(plain_digits(text))
        if not math.isfinite(number):
            raise ValueError
        return _held(number)
    except OverflowError:
        raise ValueError("is too large") from None
    except ValueError:
        raise ValueError("is not a finite number") from None


def _held(number: N) -> N:
    """Keep a number that a browser can hold. Raises OverflowError for a larger one: the page would not come."""
    if abs(number) > LARGEST:
        raise OverflowError
    return number


def _lanes(text: str) -> str:
    return ",".join(part.strip() for part in text.split(",") if part.strip())


#: How text in a link becomes what a control can hold.
_CONVERT: Mapping[Kind, Callable[[str], Any]] = {
    "text": str,
    "whole": _whole,
    "number": _number,
    "switch": _flag,
    "choice": str,
    "several": str,
    "lanes": _lanes,
    "lengths": str,
    "ids": str,
}


def parameters(request: type[Any]) -> Parameters:
    """List what a link to a form may hold."""
    return {setting.link or name: (name, setting) for name, setting in offered(request).items()}


RACE = parameters(RaceRequest)
MEASURE = parameters(MeasureRequest)
INSIDE = parameters(InsideRequest)


def names(parameters: Parameters) -> dict[str, str]:
    """List the query name of each form key, for code that writes a link."""
    return {key: name for name, (key, _) in parameters.items()}


def always(parameters: Parameters) -> list[str]:
    """List the form keys that every link states; one at its default may change with the next version."""
    return [key for key, setting in parameters.values() if setting.in_links == "always"]


@dataclass(frozen=True)
class Link:
    """What a link asks for: form values, whether to start at once, and what could not be used."""

    form: dict[str, Any] = field(default_factory=dict)
    run: bool = False
    notices: tuple[str, ...] = ()


def read(query: Mapping[str, str], strategies: Strategies, parameters: Parameters = RACE) -> Link:
    """Read query parameters."""
    form: dict[str, Any] = {}
    notices = ["The link was too long to be read, so the form keeps its own."] if TOO_LONG in query else []
    for name, (key, setting) in parameters.items():
        if name not in query:
            continue
        try:
            value = _CONVERT[setting.kind](query[name])
            if setting.kind == "lanes":
                _check_lanes(value, strategies, setting.most)
            elif setting.kind == "choice" and value not in setting.choices:
                raise ValueError("is unknown here")
            form[key] = value
        except ValueError as error:
            notices.append(f"The link's {name} {_quoted(query[name])} {error}, so the form keeps its own.")
    return Link(form, SWITCHES.get(query.get("run", "").lower(), False), tuple(notices))


def _check_lanes(lanes: str, known: Strategies, most: int) -> None:
    """Raise ValueError unless the lane picker can hold these lanes. What a setting may be is the race's to say."""
    if lanes.count(",") >= most:
        raise ValueError(f"has more than {most} entries")
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
