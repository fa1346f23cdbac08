"""Read what a lane was set to, and find the lane of another file that did the same.

A race states a lane's `options` and its `sampling`. A measurement has them in `strategy`, which is a spec
(`kvdemo.core.settings.strategy_spec`), and in its settings. Both come from files that anybody may have written: what is
no strategy, no setting or no value of this version is compared as text.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from kvdemo import samplers
from kvdemo.compare.validation import MOST_OPTIONS, Document, plain
from kvdemo.core.errors import BadInput
from kvdemo.core.settings import strategy_spec
from kvdemo.core.settings.declaration import declared, read_value
from kvdemo.core.settings.race import Sampling
from kvdemo.core.types import Option
from kvdemo.samplers import Rule
from kvdemo.strategies import introductions
from kvdemo.strategies.lane_name import lane_name

Values = Mapping[str, float | str]


class Change(NamedTuple):
    """A setting in which two lanes differ; `work` if their times are those of different work then.

    A value is None where a lane does not state it and no default of it is known.
    """

    key: str
    called: str
    a: float | str | None
    b: float | str | None
    work: bool


@dataclass(frozen=True)
class Lane:
    """A lane of either kind of document.

    strategy  its id
    given     the name that the file gives it; empty where it gives none
    options   the settings of its strategy; None where the file states none
    chosen    the settings by which it chose its tokens; None where the file states none
    effect    those of `chosen` that have a say in it (`Rule.in_effect`)
    own       those of `chosen` that are not the file's for all lanes
    runs      what each run took
    order     how many lanes like this one the file has before it
    """

    strategy: str
    given: str
    options: Values | None
    chosen: Values | None
    effect: Values
    own: Values
    runs: Sequence[Mapping[str, Any]]
    order: int = 0

    @property
    def made_of(self) -> Hashable:
        """What it was: lanes with equal ones did the same."""
        return self.strategy, _frozen(self.options), _frozen(None if self.chosen is None else self.effect)

    @property
    def name(self) -> str:
        """The name that its file gives it, or one that says its settings; numbered where the file has it often."""
        return (plain(self.given) or self.described()) + (f" #{self.order + 1}" if self.order else "")

    def described(self, without: Collection[str] = ()) -> str:
        """Name the strategy and the settings; not those that are to be left out."""
        known = introductions().get(self.strategy)
        options = {name: value for name, value in (self.options or {}).items() if name not in without}
        own = {name: value for name, value in self.own.items() if name not in without}
        named = {name: _option(self.strategy, name) for name in options}
        return plain(lane_name(known.name if known else self.strategy, named, options, own))


def lanes(document: Document, runs: Callable[[Mapping[str, Any]], Sequence[Mapping[str, Any]]]) -> list[Lane]:
    """List the lanes of a document; `runs` finds those of an entry."""
    found: list[Lane] = []
    for entry in document["lanes"]:
        lane = _read(document, entry, runs(entry))
        found.append(replace(lane, order=sum(lane.made_of == other.made_of for other in found)))
    return found


def pairs(a: Sequence[Lane], b: Sequence[Lane]) -> dict[int, int]:
    """Match lanes of A with lanes of B, by their places.

    First those that did the same, then those that say the same of their own, where the files differ in a setting for
    all lanes. What is left of a strategy is matched where there is one candidate alone.
    """
    found: dict[int, int] = {}
    for key, alone in _KEYS:
        groups_a, groups_b = _groups(a, key, found.keys()), _groups(b, key, found.values())
        for group in groups_a.keys() & groups_b.keys():
            of_a, of_b = groups_a[group], groups_b[group]
            if not alone or len(of_a) == len(of_b) == 1:
                found |= dict(zip(of_a, of_b, strict=False))
    return dict(sorted(found.items()))


def changes(a: Lane, b: Lane) -> Iterator[Change]:
    """Yield the settings in which two lanes of one strategy differ; not those of which a file states nothing."""
    if a.options is not None and b.options is not None:
        for name in {**a.options, **b.options}:
            x, y = a.options.get(name), b.options.get(name)
            if x != y:
                called = _option(a.strategy, name).called
                yield Change(name, plain(called), _clean(x), _clean(y), work=True)
    if a.chosen is not None and b.chosen is not None:
        known = _rules()
        for name in {**a.effect, **b.effect}:
            x, y = a.chosen.get(name), b.chosen.get(name)
            if x != y:
                setting = known.get(name)
                called = setting.called if setting else plain(name)
                yield Change(name, called, _clean(x), _clean(y), getattr(setting, "work", True))


#: What is matched in turn, and whether it must be the only one.
_KEYS: tuple[tuple[Callable[[Lane], Hashable], bool], ...] = (
    (lambda lane: lane.made_of, False),
    (lambda lane: (lane.strategy, _frozen(lane.options), _frozen(lane.own)), False),
    (lambda lane: (lane.strategy, _frozen(lane.options)), True),
    (lambda lane: lane.strategy, True),
)


def _groups(
    lanes: Sequence[Lane], key: Callable[[Lane], Hashable], taken: Collection[int]
) -> dict[Hashable, list[int]]:
    """Group the places of the lanes that are not taken."""
    found: dict[Hashable, list[int]] = {}
    for place, lane in enumerate(lanes):
        if place not in taken:
            found.setdefault(key(lane), []).append(place)
    return found


def _read(document: Document, entry: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> Lane:
    strategy, spec = _split(entry["strategy"])
    known, name = introductions().get(strategy), entry.get("name")
    rules = _rules() if known is None or known.samples else {}
    options = {key: value for key, value in spec.items() if key not in rules} | entry.get("options", {})
    stated = bool(options) or "options" in entry or document.get("kind") == "measure"
    defaults = {key: option.default for key, option in known.options.items()} if known else {}
    given = {key: value for key, value in spec.items() if key in rules} | entry.get("sampling", {})
    for_all = {key: document["settings"][key] for key in declared(Sampling) if key in document["settings"]}
    lane = Lane(
        strategy,
        name if isinstance(name, str) else "",
        defaults | {key: _value(_option(strategy, key), value) for key, value in options.items()} if stated else None,
        {}, {}, {}, runs,
    )  # fmt: skip
    if not rules or entry.get("sampling") == {}:  # it has a rule of its own
        return lane
    if not (given or for_all):
        return replace(lane, chosen=None)
    chosen, effect = _chosen(for_all | given)
    common, _ = _chosen(for_all)
    return replace(
        lane,
        chosen=chosen,
        effect=effect,
        own={key: value for key, value in chosen.items() if value != common.get(key)},
    )


def _split(text: str) -> tuple[str, Mapping[str, str]]:
    """Split a spec; what is none, or has too many settings, is a strategy of that name."""
    try:
        return (text, {}) if text.count(":") > MOST_OPTIONS else strategy_spec.split(text)
    except BadInput:
        return text, {}


def _chosen(settings: Mapping[str, Any]) -> tuple[Values, Values]:
    """Return the value of each setting of a rule, and those that are in effect."""
    known, given, other = _rules(), {}, {}
    for name, value in settings.items():
        try:
            given[name] = read_value(known[name], value)
        except (BadInput, KeyError):
            other[name] = str(value)
    rule = Rule(given=given)
    return rule.values | other, rule.in_effect | other


def _rules() -> Mapping[str, Option]:
    """List what a lane may say of how it chooses."""
    return samplers.options() | declared(Sampling)


def _option(strategy: str, name: str) -> Option:
    """Return an option of a strategy; one that is not known here has a name alone, and its values are texts."""
    known = introductions().get(strategy)
    return (known.options.get(name) if known else None) or Option("", name, "")


def _value(option: Option, value: Any) -> float | str:
    """Read a value; one that is none of this version is a text."""
    try:
        read: float | str = read_value(option, value)
    except BadInput:
        return str(value)
    return read


def _clean(value: float | str | None) -> float | str | None:
    return plain(value) if isinstance(value, str) else value


def _frozen(values: Values | None) -> Hashable:
    return None if values is None else frozenset(values.items())
