"""Combine the samplers of a lane into the rule by which it chooses. Nothing is imported until it is applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kvdemo.core.settings.declaration import values
from kvdemo.core.settings.race import Sampling
from kvdemo.samplers.registry import SEED, introductions, load, options

if TYPE_CHECKING:
    from kvdemo.samplers.base import Sampler

Values = Mapping[str, float | str]


@dataclass(frozen=True)
class Rule:
    """How a lane chooses: at temperature 0 the token of the highest score, else by a draw. Samplers change the scores.

    race   the settings of the race, which hold for every lane that says nothing else
    given  what the lane says, by the name of the option
    """

    race: Sampling = field(default_factory=Sampling)
    given: Values = field(default_factory=dict, hash=False)

    @property
    def values(self) -> dict[str, float | str]:
        """The value of every option, as it is in effect."""
        return {**{name: option.default for name, option in options().items()}, **values(self.race), **self.given}

    @property
    def temperature(self) -> float:
        return float(self.values["temperature"])

    @property
    def top_p(self) -> float:
        return float(self.values["top_p"])

    @property
    def seed(self) -> int:
        return int(self.values[SEED])

    @property
    def greedy(self) -> bool:
        """Whether nothing is drawn."""
        return self.temperature == 0

    @property
    def samplers(self) -> list[Sampler]:
        """Those that are applied, in order."""
        return [sampler for _, sampler in self.stages]

    @property
    def stages(self) -> list[tuple[str, Sampler]]:
        """Those that are applied, in order, each with what a reader calls it and its settings: "top-k 20"."""
        found, now, defaults = [], self.values, options()
        for introduction in introductions().values():
            sampler = load(introduction)(**{name: now[name] for name in introduction.options})
            if sampler.active and (sampler.greedy_too or not self.greedy):
                on = {name: now[name] for name in introduction.options if now[name] != defaults[name].default}
                found.append((_spelled(on), sampler))
        return found

    @property
    def changed(self) -> dict[str, float | str]:
        """The settings that are not at their defaults, of the race and of all samplers."""
        defaults = Rule().values
        return {name: value for name, value in self.values.items() if value != defaults[name]}

    @property
    def in_effect(self) -> dict[str, float | str]:
        """The settings of `changed` that have a say in which token is chosen. Rules with equal ones are the same."""
        if not self.greedy:
            return self.changed
        greedy_too = {name for one in introductions().values() if one.greedy_too for name in one.options}
        return {name: value for name, value in self.changed.items() if name in greedy_too}

    @property
    def recorded(self) -> dict[str, float | str]:
        """The settings for a document: those of the race always, others where they are in effect."""
        return {name: self.values[name] for name in values(self.race)} | self.in_effect

    @property
    def by_temperature_and_top_p(self) -> bool:
        """Whether temperature, top-p and seed are all that is in effect."""
        return self.in_effect.keys() <= {"temperature", "top_p", SEED}

    @property
    def label(self) -> str:
        """What the lane says of its own, for its name: "temperature 0.8, min-p 0.05"; empty where it says nothing."""
        return _spelled(self.given)

    @property
    def described(self) -> str:
        """Say what the rule is: "greedy", or all that is in effect, as in "temperature 0.8, top-k 20"."""
        return _spelled(self.in_effect) or "greedy"


def _spelled(chosen: Values) -> str:
    known = options()
    return ", ".join(f"{known[name].called if name in known else name} {value}" for name, value in chosen.items())
