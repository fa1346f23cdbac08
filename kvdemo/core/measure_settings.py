"""What a measurement is asked to do, checked. A race's settings, and how often and over which lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kvdemo.core import validation
from kvdemo.core.settings import MOST_TOKENS, RaceRequest
from kvdemo.core.types import BadInput

MOST_REPEATS = 100
MOST_WARMUPS = 10
MOST_LENGTHS = 8
#: Repeats of a sweep's cell: it shows a landscape, and the table's repeats carry the statistics.
SWEEP_REPEATS = 3
DEFAULT_LANES = ("no_cache", "dynamic_cache")


@dataclass(frozen=True)
class MeasureRequest:
    """A measurement as it was asked for.

    race                        what each run decodes; end-of-text tokens do not end it, or lanes would do unequal work
    repeats, warmup             timed and untimed runs of each lane, all of full length
    sweep_prompt, sweep_tokens  prompt lengths and new-token counts of the break-even sweep, in tokens; empty for none
    preset                      "classic" falls back to the default model where its own cannot be had
    """

    race: RaceRequest
    repeats: int = 3
    warmup: int = 1
    sweep_prompt: tuple[int, ...] = ()
    sweep_tokens: tuple[int, ...] = ()
    preset: str | None = None

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> MeasureRequest:
        """A request from whatever a form, a URL or a program sent. Raises BadInput."""
        own = cls.__dataclass_fields__.keys() - {"race"}
        given = {name: value for name, value in raw.items() if name in own and value is not None and value != ""}
        race = {"strategies": DEFAULT_LANES} | {name: value for name, value in raw.items() if name not in own}
        if race.pop("schedule", None) not in (None, "", "fair"):
            raise BadInput("A measurement runs each lane alone on the device: leave the schedule out.")
        prompts = _lengths("sweep's prompt lengths", given.get("sweep_prompt", ()))
        tokens = _lengths("sweep's token counts", given.get("sweep_tokens", ()))
        if bool(prompts) != bool(tokens):
            raise BadInput("A sweep needs both prompt lengths and token counts: fill in both or neither.")
        parsed = RaceRequest.parse(race | {"ignore_eos": True})
        if len(set(parsed.strategies)) < len(parsed.strategies):
            raise BadInput("A measurement runs each strategy once: name each of them once.")
        return cls(
            race=parsed,
            repeats=validation.whole("number of repeats", given.get("repeats", cls.repeats), 1, MOST_REPEATS),
            warmup=validation.whole("number of warm-up runs", given.get("warmup", cls.warmup), 0, MOST_WARMUPS),
            sweep_prompt=prompts,
            sweep_tokens=tokens,
            preset=str(given["preset"]) if "preset" in given else None,
        )

    @property
    def steps(self) -> int:
        """Tokens to decode in all, warm-up included."""
        a_lane = (self.repeats + self.warmup) * self.race.max_new_tokens
        if self.sweep_tokens:
            a_lane += len(self.sweep_prompt) * (self.sweep_repeats + 1) * max(self.sweep_tokens)
        return len(self.race.strategies) * a_lane

    @property
    def sweep_repeats(self) -> int:
        return min(self.repeats, SWEEP_REPEATS)


def _lengths(name: str, value: Any) -> tuple[int, ...]:
    """Distinct lengths in tokens, in order, from "16,128" or a list."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, Sequence):
        raise BadInput(f"The {name} must be whole numbers with commas between them, not {validation.show(value)}.")
    lengths = {validation.whole(f"entry of the {name}", item, 1, MOST_TOKENS) for item in items if item != ""}
    if len(lengths) > MOST_LENGTHS:
        raise BadInput(f"{len(lengths)} {name} are too many for one sweep: choose at most {MOST_LENGTHS}.")
    return tuple(sorted(lengths))
