"""Declare what one visitor may ask of the server. The operator sets each limit by an environment variable.

A limit `tokens` is KVDEMO_MAX_TOKENS. docs/deploy.md lists them. Not imported with the service: it needs pydantic,
which a machine that only measures has not.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from kvdemo import strategies
from kvdemo.core.errors import BadInput
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import MOST_LANES, RaceRequest
from kvdemo.core.settings.request import Request
from kvdemo.core.settings.validation import show

PREFIX = "KVDEMO_MAX_"
#: The settings that are texts for the model, and what sentences call them.
_TEXTS = {"prompt": "prompt", "append": "appended text"}


class Limits(BaseModel):
    """The largest values of what a request asks for, and how long and how much the server gives to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: PositiveInt = Field(default=8192, description="new tokens of each lane")
    prompt_characters: PositiveInt = Field(default=200_000, description="characters of a prompt")
    lanes: PositiveInt = Field(default=MOST_LANES, description="lanes of a race or a measurement")
    steps: PositiveInt = Field(default=50_000, description="tokens of a race, over all lanes")
    concurrency: PositiveInt = Field(default=16, description="equal requests at once to a remote engine, of each lane")
    measured_steps: PositiveInt = Field(default=100_000, description="tokens of a measurement, warm-up included")
    race_seconds: PositiveInt = Field(default=900, description="seconds of a race on the device; it is then stopped")
    measure_seconds: PositiveInt = Field(default=7200, description="seconds of a measurement on the device")
    inside_seconds: PositiveInt = Field(default=300, description="seconds of a look inside on the device")
    model_bytes: PositiveInt = Field(default=15_000_000_000, description="bytes of a model to download")
    kept_bytes: PositiveInt = Field(default=40_000_000_000, description="bytes of downloaded models on the disk")
    downloads: PositiveInt = Field(default=3, description="downloads of models at a time")
    download_seconds: PositiveInt = Field(default=3600, description="seconds of a download; it is then stopped")
    runs: PositiveInt = Field(default=100, description="runs under way or waiting, of all visitors")
    runs_of_address: PositiveInt = Field(default=50, description="of them from one address, where no other has any")
    runs_of_session: PositiveInt = Field(default=3, description="of them of one open page")
    uploaded_bytes: PositiveInt = Field(default=200_000_000, description="bytes uploaded in an hour, by all visitors")

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Limits:
        """Read the limits from environment variables. Raises BadInput for one that is no limit, or no number."""
        given = {
            name.removeprefix(PREFIX).lower(): value for name, value in environment.items() if name.startswith(PREFIX)
        }
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            name = str(error.errors()[0]["loc"][0])
            if name not in cls.model_fields:
                known = ", ".join(map(variable, cls.model_fields))
                raise BadInput(f"There is no limit {variable(name)}: there are {known}.") from None
            raise BadInput(f"{variable(name)} must be a whole number above 0, not {show(given[name])}.") from None

    @classmethod
    def of_environment(cls) -> Limits:
        """Read the limits from this process's environment. Raises BadInput."""
        return cls.of(os.environ)

    def check(self, request: Request) -> None:
        """Raise BadInput for a request that asks for more than the limits allow, with the largest that they do."""
        race = request.race if isinstance(request, MeasureRequest) else request
        self.check_texts(vars(race))
        if isinstance(race, RaceRequest) and (lanes := len(race.strategies)) > self.lanes:
            raise BadInput(f"This server runs {self.lanes} lanes at a time, and here are {lanes}: leave some out.")
        if isinstance(race, RaceRequest):
            self._check_concurrency(race.strategies)
        if race.max_new_tokens > self.tokens:
            self._refuse_tokens(f"This server writes at most {self.tokens:,} tokens a lane", self.tokens)
        if isinstance(request, MeasureRequest) and request.steps > self.measured_steps:
            raise BadInput(
                f"That is {request.steps:,} tokens to decode, and a page allows {self.measured_steps:,} at a time: "
                "ask for fewer repeats, tokens or lengths, or use the command line."
            )
        if isinstance(request, RaceRequest) and request.steps > self.steps:
            fits = self.steps // len(request.strategies)
            if not fits:
                raise BadInput(f"This server writes {self.steps:,} tokens a race: choose fewer lanes.")
            self._refuse_tokens(
                f"That is {request.steps:,} tokens to decode, and this server allows {self.steps:,} a race", fits
            )

    def _check_concurrency(self, specs: Sequence[str]) -> None:
        for spec in specs:
            asked = strategies.read(spec)[1].get("concurrency")
            if asked is not None and int(asked) > self.concurrency:
                raise BadInput(
                    f"This server sends at most {self.concurrency:,} equal requests at once, and {show(spec)} asks for "
                    f"{int(asked):,}: lower its concurrency to {self.concurrency:,}."
                )

    def check_texts(self, form: Mapping[str, Any]) -> None:
        """Raise BadInput for a text of a form that is too long even to be counted; nothing is read for that."""
        for name, called in _TEXTS.items():
            text = form.get(name)
            if isinstance(text, str) and len(text) > self.prompt_characters:
                raise BadInput(
                    f"The {called} has {len(text):,} characters, and this server reads {self.prompt_characters:,}: "
                    "shorten it."
                )

    def seconds(self, request: Request) -> int:
        """Return how long a run may have the device."""
        if isinstance(request, MeasureRequest):
            return self.measure_seconds
        return self.race_seconds if isinstance(request, RaceRequest) else self.inside_seconds

    @staticmethod
    def _refuse_tokens(why: str, fits: int) -> None:
        raise BadInput(f"{why}: ask for at most {fits:,} new tokens.", max_new_tokens=fits)


def variable(name: str) -> str:
    """Write the environment variable of a limit."""
    return PREFIX + name.upper()
