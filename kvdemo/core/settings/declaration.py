"""Declare a setting once: its type, bounds, label, help, name in a link, default.

A class of settings is a dataclass whose fields are made by `setting`, or by `group` for a class of settings inside of
it. Controls, command line flags, links, API parameters, documents and error sentences are all derived from these
declarations, so a further setting is one line there, and whatever applies it.

Standard library only: a machine that measures has torch and transformers, and neither brings pydantic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

from kvdemo.core.errors import BadInput
from kvdemo.core.settings import validation
from kvdemo.core.types import Kind, Option

Place = Literal["form", "cli"]
T = TypeVar("T")


@dataclass(frozen=True)
class Setting(Option):
    """A setting of a race, a measurement or a plan: an option that also has a place in links, documents and forms.

    typed      the kind, where the default does not tell it
    named      what sentences call it; the label in small letters unless given
    missing    the sentence for a setting without a default; empty for one that has a default
    above_low  why `low` itself is not allowed, and what to do instead; empty where it is
    most       entries that a list may have
    spelt      other spellings of its choices
    link       its name in a link; its own name unless given
    in_links   whether a link states it always, or only where it is not at its default
    example    what `--help` and an empty text field show in its place
    slider     lowest, highest and step of its slider; None for a field to type in
    only       the one place that offers it, where that is not everywhere
    recorded   part of a document's "settings"; other settings have a place of their own there
    work       lanes that differ in it do different work, so that their times cannot be compared
    """

    default: Any
    typed: Kind | None = None
    named: str = ""
    missing: str = ""
    above_low: str = ""
    most: int = 0
    spelt: Mapping[str, str] = field(default_factory=dict, hash=False)
    link: str = ""
    in_links: Literal["always", "changed"] = "changed"
    example: str = ""
    slider: tuple[float, float, float] | None = None
    only: Place | None = None
    recorded: bool = True
    work: bool = False

    @property
    def kind(self) -> Kind:
        return self.typed or self.kind_of_default

    @property
    def called(self) -> str:
        return self.named or self.label.lower()


@dataclass(frozen=True)
class _Group:
    """A class of settings inside another one, with other defaults, and with values that cannot be chosen there."""

    of: type[Any]
    defaults: Mapping[str, Any]
    fixed: Mapping[str, Any]


def setting(default: Any, label: str, about: str, **more: Any) -> Any:
    """Declare a field of a class of settings (see `Setting`); one with `missing` has no default.

    Declared as Any, so that `seed: int = setting(...)` reads as what an instance has there.
    """
    made = Setting(default, label, about, **more)
    metadata = {"setting": made}
    return field(metadata=metadata) if made.missing else field(default=default, metadata=metadata)


def group(of: type[Any], defaults: Mapping[str, Any] | None = None, fixed: Mapping[str, Any] | None = None) -> Any:
    """Declare a field that holds a class of settings. Its settings count as the outer class's own."""
    return field(default_factory=of, metadata={"group": _Group(of, defaults or {}, fixed or {})})


def declared(cls: type[Any]) -> dict[str, Setting]:
    """Return the settings of a class that can be chosen, by name, in the order of their declaration."""
    found: dict[str, Setting] = {}
    for one in fields(cls):
        inner: _Group | None = one.metadata.get("group")
        if inner is None:
            found[one.name] = one.metadata["setting"]
            continue
        for name, its in declared(inner.of).items():
            if name not in inner.fixed:
                found[name] = replace(its, default=inner.defaults.get(name, its.default))
    return found


def offered(cls: type[Any], place: Place | None = None) -> dict[str, Setting]:
    """Return the settings that one place offers; without a place, those that are offered everywhere."""
    return {name: one for name, one in declared(cls).items() if one.only in (None, place)}


def read(cls: type[T], raw: Mapping[str, Any]) -> T:
    """Read settings from whatever a form, a link or a program sent. Raises BadInput.

    One that is missing, None or blank takes its default.
    """
    refuse_long(cls, raw)
    given = {name: value for name, value in raw.items() if not blank(value)}
    if unknown := given.keys() - declared(cls).keys():
        raise BadInput(f"There is no setting {validation.show(min(unknown, key=str))}.")
    return _made(cls, given)


def refuse_long(cls: type[Any], raw: Mapping[str, Any]) -> None:
    """Raise BadInput for a text that is longer than its setting takes; nothing is read for that."""
    settings = declared(cls)
    for name, value in raw.items():
        if name in settings:
            _refuse_long(settings[name], value)
        else:
            validation.short(f"setting {validation.show(name)}", value, validation.LONGEST)


def _refuse_long(option: Option, value: Any) -> None:
    if option.longest is not None:
        validation.short(option.called, value, option.longest)
    elif value is not None:
        validation.is_text(option.called, value)  # whoever reads it knows how long it may be


def blank(value: Any) -> bool:
    """Tell whether a value stands for none."""
    return value is None or (isinstance(value, str) and not value.strip())


def _made(cls: type[T], given: Mapping[str, Any]) -> T:
    values: dict[str, Any] = {}
    for one in fields(cls):  # type: ignore[arg-type]  # every class of settings is a dataclass
        inner: _Group | None = one.metadata.get("group")
        if inner is not None:
            values[one.name] = _made(inner.of, {**inner.defaults, **given, **inner.fixed})
        elif one.name in given:
            values[one.name] = read_value(one.metadata["setting"], given[one.name])
        elif missing := one.metadata["setting"].missing:
            raise BadInput(missing)
    return cls(**values)


def read_value(option: Option, value: Any) -> Any:
    """Read one value, given as itself or as text. Raises BadInput."""
    _refuse_long(option, value)
    return _CHECKS[option.kind](option, value)


#: How a value of each kind is checked. What an `Option` of a strategy does not declare has no effect.
_CHECKS: dict[Kind, Callable[[Any, Any], Any]] = {
    "text": lambda s, value: validation.text(s.called, value),
    "whole": lambda s, value: validation.whole(s.called, value, int(s.low), int(s.high)),
    "number": lambda s, value: validation.number(s.called, value, s.low, s.high, getattr(s, "above_low", "")),
    "switch": lambda s, value: validation.switch(s.called, value),
    "choice": lambda s, value: validation.choice(s.called, value, s.offered, getattr(s, "spelt", {})),
    "several": lambda s, value: validation.several(s.called, value, s.choices),
    "lanes": lambda s, value: validation.lanes(value, s.most),
    "lengths": lambda s, value: validation.lengths(s.called, value, int(s.high), s.most),
    "ids": lambda s, value: validation.ids(s.called, value, int(s.high), s.most),
}


def values(settings: Any) -> dict[str, Any]:
    """Return what each setting of an instance is set to, by name: a flat mapping that `read` takes again."""
    return {name: value for name, _, value in _each(settings)}


def recorded(settings: Any) -> dict[str, Any]:
    """Return an instance as a document's "settings": those without a place of their own in the document."""
    flat = ((name, value) for name, one, value in _each(settings) if one.recorded)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in flat}


def in_documents(cls: type[Any]) -> dict[str, Setting]:
    """Return the settings that `recorded` writes of an instance of a class, by name."""
    found: dict[str, Setting] = {}
    for one in fields(cls):
        if inner := one.metadata.get("group"):
            found |= in_documents(inner.of)
        elif one.metadata["setting"].recorded:
            found[one.name] = one.metadata["setting"]
    return found


def _each(settings: Any) -> list[tuple[str, Setting, Any]]:
    found: list[tuple[str, Setting, Any]] = []
    for one in fields(settings):
        value = getattr(settings, one.name)
        found += _each(value) if "group" in one.metadata else [(one.name, one.metadata["setting"], value)]
    return found
