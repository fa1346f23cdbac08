"""Keep to ZeroGPU's terms: a GPU is lent by the second, and a visitor without an account has two minutes of it a day.

How long a race takes is not known before it ran, so an upper bound is asked for. A request for fewer seconds waits less
in the queue. A run that takes longer than it asked for is cut off.
"""

from __future__ import annotations

from collections.abc import Sequence

from kvdemo import strategies
from kvdemo.core.errors import BadInput
from kvdemo.core.inside_settings import InsideRequest
from kvdemo.core.measure_settings import MeasureRequest
from kvdemo.core.settings import RaceRequest

Request = RaceRequest | MeasureRequest | InsideRequest

QUOTA_SECONDS = 120
STARTUP_SECONDS = 10
# One pass of a small model through transformers' Python, with room to spare: launch overhead, not the model's size.
# Rows side by side share it: a GPU hardly takes longer for them.
SECONDS_A_PASS = 0.04
# A panel of Inside runs its text a few times, in the model's own number format and in others.
PASSES_A_PANEL = 4


def seconds(request: Request, run_id: str = "") -> int:  # noqa: ARG001 - the run's own arguments
    """Calculate the GPU seconds to ask for, for all passes of a run."""
    if isinstance(request, InsideRequest):
        passes = len(request.panels) * PASSES_A_PANEL * request.max_new_tokens
        return STARTUP_SECONDS + round(passes * SECONDS_A_PASS)
    lanes = _lanes(request)
    return STARTUP_SECONDS + round(request.steps / len(lanes) * _passes(lanes) * SECONDS_A_PASS)


def check(request: Request) -> None:
    """Raise BadInput for what a visitor's quota cannot hold, with the largest token count that fits."""
    if seconds(request) <= QUOTA_SECONDS:
        return
    need = f"may need {seconds(request):,} GPU seconds, and a visitor has {QUOTA_SECONDS} a day"
    if isinstance(request, InsideRequest):
        raise BadInput(f"Inside {need}: ask for fewer panels or new tokens.")
    if isinstance(request, MeasureRequest):
        raise BadInput(f"This measurement {need}: ask for fewer tokens, repeats or lengths.")
    fits = int((QUOTA_SECONDS - STARTUP_SECONDS) / SECONDS_A_PASS / _passes(request.strategies))
    raise BadInput(f"This race {need}: ask for at most {fits:,} new tokens.", max_new_tokens=fits)


def _lanes(request: RaceRequest | MeasureRequest) -> tuple[str, ...]:
    return request.race.strategies if isinstance(request, MeasureRequest) else request.strategies


def _passes(lanes: Sequence[str]) -> int:
    """The most forward passes that all lanes run for one token each."""
    return sum(map(strategies.passes_a_token, lanes))
