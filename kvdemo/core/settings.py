"""What a visitor asks for, checked. Everything that can be said without a model is said here, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kvdemo.core import validation
from kvdemo.core.types import SCHEDULES, BadInput, Schedule

MOST_LANES = 6
MOST_TOKENS = 1_000_000
DEFAULT_LANES = ("reencode", "dynamic_cache")


@dataclass(frozen=True)
class RaceRequest:
    """A race as it was asked for.

    chat         True, False, or None for "if the model has a chat template"
    temperature  0 is greedy
    inputs       also report what each step of a lane that works on text has read
    """

    prompt: str
    model: str | None = None
    strategies: tuple[str, ...] = DEFAULT_LANES
    max_new_tokens: int = 128
    schedule: Schedule = "fair"
    chat: bool | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    ignore_eos: bool = False
    inputs: bool = False

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> RaceRequest:
        """A request from whatever a form, a URL or a program sent. Raises BadInput.

        A field that is missing, None or empty takes its default.
        """
        given = {name: value for name, value in raw.items() if value is not None and value != ""}
        if unknown := given.keys() - cls.__dataclass_fields__.keys():
            raise BadInput(f"There is no setting {validation.show(min(unknown))}.")
        return cls(
            prompt=_prompt(raw.get("prompt")),
            model=validation.text("model", given["model"]) if "model" in given else None,
            strategies=_strategies(given.get("strategies", cls.strategies)),
            max_new_tokens=_tokens(given.get("max_new_tokens", cls.max_new_tokens)),
            schedule=_schedule(given.get("schedule", cls.schedule)),
            chat=validation.switch("chat", given["chat"]) if "chat" in given else None,
            temperature=validation.number("temperature", given.get("temperature", cls.temperature), 0, 10),
            top_p=_top_p(given.get("top_p", cls.top_p)),
            seed=validation.whole("seed", given.get("seed", cls.seed), 0, 2**63 - 1),
            ignore_eos=validation.switch("ignore_eos", given.get("ignore_eos", False)),
            inputs=validation.switch("inputs", given.get("inputs", False)),
        )

    @property
    def steps(self) -> int:
        """Tokens to decode at the most, over all lanes."""
        return len(self.strategies) * self.max_new_tokens


def _prompt(value: Any) -> str:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise BadInput("The prompt is empty: write something for the model to continue.")
    text = validation.text("prompt", value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = f"U+{ord(text[error.start]):04X}"
        raise BadInput(
            f"The prompt holds half of a character ({code}, at position {error.start + 1}): "
            "delete it or paste the text again."
        ) from None
    return text


def _strategies(value: Any) -> tuple[str, ...]:
    ids = value.split(",") if isinstance(value, str) else value
    if not isinstance(ids, list | tuple) or not all(isinstance(i, str) for i in ids):
        raise BadInput(f"The strategies must be a list of names, not {validation.show(value)}.")
    names = tuple(name for i in ids if (name := i.strip()))
    if not names:
        raise BadInput("No strategy is chosen: choose at least one.")
    if len(names) > MOST_LANES:
        raise BadInput(f"{len(names)} strategies are too many for one race: choose at most {MOST_LANES}.")
    return names


def _tokens(value: Any) -> int:
    return validation.whole("token count", value, 1, MOST_TOKENS)


def _schedule(value: Any) -> Schedule:
    for schedule in SCHEDULES:
        if value == schedule:
            return schedule
    raise BadInput(f"There is no schedule {validation.show(value)}: choose {' or '.join(SCHEDULES)}.")


def _top_p(value: Any) -> float:
    top_p = validation.number("top-p", value, 0, 1)
    if top_p == 0:
        raise BadInput(
            "The top-p must be above 0: at 0 no token is left to draw from; choose temperature 0 for greedy."
        )
    return top_p
