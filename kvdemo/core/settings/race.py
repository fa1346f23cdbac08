"""Declare what a race can be asked for: each setting once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kvdemo.core.settings.declaration import declared, group, read, setting
from kvdemo.core.settings.validation import LONGEST
from kvdemo.core.types import SCHEDULES, Schedule

MOST_LANES = 6
MOST_TOKENS = 1_000_000
DEFAULT_LANES = ("reencode", "dynamic_cache")
#: What a prompt is counted by.
COUNTED = ("prompt", "chat", "model")
#: On the default model, in float32, both default lanes write the same text to its end.
DEFAULT_PROMPT = "In one paragraph, explain why caching saves work."


@dataclass(frozen=True)
class Sampling:
    """How a token is picked: at temperature 0 the likeliest, else drawn from the top-p part, by a seeded generator.

    `kvdemo.strategies.chooser` applies it.
    """

    temperature: float = setting(
        0.0, "Temperature", "0 is greedy: the likeliest token", high=10, slider=(0, 2, 0.05), example="T", work=True
    )
    top_p: float = setting(
        1.0, "Top-p", "draw from the likeliest tokens that have this share of the probability; 1 is all tokens", high=1,
        above_low="at 0 no token is left to draw from; choose temperature 0 for greedy",
        slider=(0.05, 1, 0.05), example="P", work=True,
    )  # fmt: skip
    seed: int = setting(0, "Seed", "of the random numbers; each lane draws the same ones", high=2**63 - 1, example="S")


def race_option(name: str) -> Any:
    """Declare an option that is a setting of `Sampling` too, of which a race sets the default for all lanes."""
    return declared(Sampling)[name]


@dataclass(frozen=True)
class RaceRequest:
    """A race as it was asked for. `chat` is True, False, or None for "if the model has a chat template"."""

    prompt: str = setting(
        None, "Prompt", "the text to go on from", typed="text", longest=None, recorded=False, in_links="always",
        missing="The prompt is empty: write something for the model to continue.",
    )  # fmt: skip
    model: str | None = setting(
        None, "Model", "catalogue name, Hub id, folder, or random:gpt2 for random weights", typed="text",
        example="ID_OR_FOLDER", recorded=False, in_links="always",
    )  # fmt: skip
    max_new_tokens: int = setting(
        128, "New tokens", "how many tokens each lane writes at the most", named="token count", low=1, high=MOST_TOKENS,
        link="tokens", example="N", work=True, in_links="always",
    )  # fmt: skip
    strategies: tuple[str, ...] = setting(
        DEFAULT_LANES, "Lanes", "strategies, each with its settings, as in sliding_window:window=64", typed="lanes",
        most=MOST_LANES, longest=MOST_LANES * LONGEST, link="lanes", example="a,b,...", recorded=False,
        in_links="always",
    )  # fmt: skip
    schedule: Schedule = setting(
        SCHEDULES[0], "Schedule", "Fair turns: one lane at a time has the device, each step is timed alone. "
        "Simultaneous: all at once, slowing each other down.", choices=SCHEDULES, recorded=False,
    )  # fmt: skip
    chat: bool | None = setting(
        None, "Chat template", "apply the chat template; unless said otherwise, if the model has one", typed="switch",
        named="chat setting",
    )  # fmt: skip
    sampling: Sampling = group(Sampling)
    ignore_eos: bool = setting(
        False, "Ignore end of text", "go on after an end-of-text token", named="end-of-text setting"
    )
    inputs: bool = setting(
        False, "Inputs", "also report the text that each re-encoding step read", named="inputs setting", only="cli",
        recorded=False,
    )  # fmt: skip
    candidates: bool = setting(
        False, "Save alternatives", "also write into the document what each token was chosen from: the ten likeliest "
        "tokens, rule by rule", named="candidates setting", recorded=False,
    )  # fmt: skip

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> RaceRequest:
        """Read a request from whatever a form, a URL or a program sent. Raises BadInput."""
        return read(cls, raw)

    @property
    def steps(self) -> int:
        """Tokens to decode at the most, over all lanes."""
        return len(self.strategies) * self.max_new_tokens
