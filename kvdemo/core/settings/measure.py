"""Declare what a measurement can be asked to do: a race's settings, how often, and over which lengths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.declaration import Setting, group, in_documents, read, setting
from kvdemo.core.settings.race import MOST_TOKENS, RaceRequest

#: What the id of a run can be, under which its document is kept.
RUN_ID = re.compile(r"[0-9a-zA-Z-]{1,64}")
MOST_REPEATS = 100
MOST_WARMUPS = 10
MOST_LENGTHS = 8
#: Repeats of a sweep's cell: it shows a landscape, and the table's repeats carry the statistics.
SWEEP_REPEATS = 3
DEFAULT_LANES = ("no_cache", "dynamic_cache")
#: Each lane has the device to itself, and an end-of-text token does not end it, or lanes would do unequal work.
FIXED = {"schedule": "fair", "ignore_eos": True, "inputs": False, "candidates": False}


@dataclass(frozen=True)
class MeasureRequest:
    """A measurement as it was asked for.

    race    what each run decodes
    preset  which preset the form was filled with; "classic" falls back to the default model where its own cannot be had
    """

    race: RaceRequest = group(RaceRequest, defaults={"strategies": DEFAULT_LANES}, fixed=FIXED)
    repeats: int = setting(
        3, "Repeats", "timed runs of each lane", named="number of repeats", low=1, high=MOST_REPEATS, example="R",
        in_links="always",
    )  # fmt: skip
    warmup: int = setting(
        1, "Warm-up", "untimed runs of each lane, in full length", named="number of warm-up runs", high=MOST_WARMUPS,
        example="W", in_links="always",
    )  # fmt: skip
    sweep_prompt: tuple[int, ...] = setting(
        (), "Prompt lengths", "tokens, with commas; empty for no sweep", typed="lengths",
        named="sweep's prompt lengths", high=MOST_TOKENS, most=MOST_LENGTHS, example="16,128,512",
    )  # fmt: skip
    sweep_tokens: tuple[int, ...] = setting(
        (), "New tokens", "a column for each count", typed="lengths", named="sweep's token counts",
        high=MOST_TOKENS, most=MOST_LENGTHS, example="32,128",
    )  # fmt: skip
    preset: str | None = setting(None, "Preset", "what filled the form", typed="text", only="form", recorded=False)

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> MeasureRequest:
        """Read a request from whatever a form, a URL or a program sent. Raises BadInput."""
        if raw.get("schedule") not in (None, "", "fair"):
            raise BadInput("A measurement runs each lane alone on the device: leave the schedule out.")
        request = read(cls, {name: value for name, value in raw.items() if name not in FIXED})
        if bool(request.sweep_prompt) != bool(request.sweep_tokens):
            raise BadInput("A sweep needs both prompt lengths and token counts: fill in both or neither.")
        lanes = request.race.strategies
        if len(set(lanes)) < len(lanes):
            raise BadInput("A measurement runs each strategy once: name each of them once.")
        return request

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


def stated() -> dict[str, Setting]:
    """Return the settings of which documents state one value, by the key that it has there."""
    return {name: one for name, one in in_documents(MeasureRequest).items() if one.kind not in ("lanes", "lengths")}
