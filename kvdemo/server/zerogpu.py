"""Keep to ZeroGPU's terms: a GPU is lent by the second, and a visitor without an account has two minutes of it a day.

A run that takes longer than it asked for is cut off; one that asks for fewer seconds waits less in the queue. So what
the steps of earlier runs predict is asked for, with room to spare, and an upper bound while no run has shown anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from kvdemo import strategies
from kvdemo.core.errors import BadInput
from kvdemo.core.settings.inside import InsideRequest
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.settings.request import Request

#: The seconds that a run will decode; None where no run has shown how long a step takes.
Forecast = Callable[[Request], float | None]

QUOTA_SECONDS = 120
# The GPU that is lent next may be slower, and a draft may be accepted less often.
ROOM = 2
STARTUP_SECONDS = 10
# One pass of a small model through transformers' Python, with room to spare: launch overhead, not the model's size.
# Rows side by side share it: a GPU hardly takes longer for them.
SECONDS_A_PASS = 0.04
# A panel of Inside runs its text a few times, in the model's own number format and in others.
PASSES_A_PANEL = 4


def unknown(_: Request) -> float | None:
    """Predict nothing."""
    return None


def seconds(request: Request, forecast: Forecast = unknown) -> int:
    """Calculate the GPU seconds to ask for, for all passes of a run: from the predicted ones where they are known."""
    predicted = forecast(request)
    if predicted is not None:
        return STARTUP_SECONDS + math.ceil(ROOM * predicted)
    if isinstance(request, InsideRequest):
        passes = len(request.panels) * PASSES_A_PANEL * request.max_new_tokens
        return STARTUP_SECONDS + round(passes * SECONDS_A_PASS)
    lanes = _lanes(request)
    return STARTUP_SECONDS + round(request.steps / len(lanes) * _passes(lanes) * SECONDS_A_PASS)


def check(request: Request, forecast: Forecast = unknown) -> None:
    """Raise BadInput for what a visitor's quota cannot hold, with the largest token count that fits."""
    if (asked := seconds(request, forecast)) <= QUOTA_SECONDS:
        return
    need = f"may need {asked:,} GPU seconds, and a visitor has {QUOTA_SECONDS} a day"
    if isinstance(request, InsideRequest):
        raise BadInput(f"Inside {need}: ask for fewer panels or new tokens.")
    if isinstance(request, MeasureRequest):
        raise BadInput(f"This measurement {need}: ask for fewer tokens, repeats or lengths.")
    fits = _fitting(request, forecast)
    if not fits:
        raise BadInput(f"This race {need}: choose fewer lanes, or a shorter prompt.")
    raise BadInput(f"This race {need}: ask for at most {fits:,} new tokens.", max_new_tokens=fits)


def _fitting(request: RaceRequest, forecast: Forecast) -> int:
    """Find the largest token count of which a visitor's quota holds a race; 0 if not even one token fits."""
    fits, too_many = 0, request.max_new_tokens
    while too_many - fits > 1:
        tokens = (fits + too_many) // 2
        if seconds(replace(request, max_new_tokens=tokens), forecast) <= QUOTA_SECONDS:
            fits = tokens
        else:
            too_many = tokens
    return fits


def _lanes(request: RaceRequest | MeasureRequest) -> tuple[str, ...]:
    return request.race.strategies if isinstance(request, MeasureRequest) else request.strategies


def _passes(lanes: Sequence[str]) -> int:
    """Count the most forward passes that all lanes run for one token each."""
    return sum(map(strategies.passes_a_token, lanes))
