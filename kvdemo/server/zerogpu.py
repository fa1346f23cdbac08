"""Keep to ZeroGPU's terms: a GPU is lent by the second, and each visitor has so many a day, more when signed in.

A run that takes longer than it asked for is cut off; one that asks for fewer seconds waits less in the queue. So what
the steps of earlier runs predict is asked for, with room to spare. Before any run has shown a step, a roofline predicts
one. What is left of a visitor's seconds, Hugging Face alone knows: it answers to what is asked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from kvdemo import strategies
from kvdemo.core.errors import BadInput
from kvdemo.core.settings.inside import InsideRequest
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.settings.request import Request

#: Seconds a day of a visitor who is not signed in: https://huggingface.co/docs/hub/spaces-zerogpu.
ANONYMOUS_SECONDS = 120
#: What `spaces` asks for where it is told nothing.
UNTOLD_SECONDS = 60
# The GPU that is lent next may be slower, and a draft may be accepted less often.
ROOM = 2
STARTUP_SECONDS = 10
# A panel of Inside runs its text a few times, in the model's own number format and in others.
PASSES_A_PANEL = 4
#: Bytes a second of what is lent, by the GPU's name in `spaces`. An H200 has 4.8 TB/s (NVIDIA's data sheet), and the
#: slice 3g.71gb half of its memory; an RTX PRO 6000 Blackwell has 1.6 TB/s, and half of it is lent.
BANDWIDTHS = {"NVIDIA H200": 2.4e12, "NVIDIA RTX PRO 6000 Blackwell Server Edition": 0.8e12}
#: An operation of transformers' Python, launched from it: the slowest of three models on an H100 (the steps of
#: dynamic_cache in benchmarks/results/gpu-nvidia-h100-80gb-hbm3.json, over the operations of a pass).
OPERATION_SECONDS = 21e-6
_LEFT = re.compile(r"(\d+)s requested vs\. (\d+)s left")

#: What predicts the seconds: steps that ran, or a roofline before any has; None where nothing does.
Basis = Literal["steps", "roofline"] | None
_BASES: dict[Basis, str] = {
    "steps": "predicted from the steps of earlier runs",
    "roofline": "predicted from the model's size and number of operations: no run has shown a step yet",
    None: "as nothing predicts how long it takes",
}


class Asked(NamedTuple):
    """The GPU seconds that a run asks for, and what they are predicted from."""

    seconds: int
    basis: Basis


@dataclass(frozen=True)
class Terms:
    """On what terms a run is lent a GPU.

    forecast      the seconds that a run decodes, by earlier steps; None where none has shown any
    pass_seconds  the seconds of a forward pass by a roofline; None where that is unknown
    most          the longest that the server lets a run take, in seconds
    """

    forecast: Callable[[Request], float | None] = lambda _: None
    pass_seconds: Callable[[], float | None] = lambda: None
    most: Callable[[Request], float] = lambda _: math.inf

    def ask(self, request: Request) -> Asked:
        """Calculate the GPU seconds to ask for, for all passes of a run."""
        basis: Basis = "steps"
        if (predicted := self.forecast(request)) is None:
            basis, each = "roofline", self.pass_seconds()
            predicted = None if each is None else each * _passes(request)
        if predicted is None:
            return Asked(UNTOLD_SECONDS, None)
        return Asked(STARTUP_SECONDS + math.ceil(min(ROOM * predicted, self.most(request))), basis)

    def sentence(self, request: Request, who: str = "It") -> str:
        """Say how many GPU seconds a run asks for, and what predicts them; `who` names the run."""
        seconds, basis = self.ask(request)
        said = f"{who} asks for {seconds:,} GPU seconds, {_BASES[basis]}."
        if seconds > ANONYMOUS_SECONDS:
            said += f" A visitor who is not signed in has {ANONYMOUS_SECONDS} a day."
        return said

    def refusal(self, request: Request, said: str) -> BadInput:
        """Make the error for a run that was lent no GPU, for the reason `said`, with the largest count that fits."""
        sentence = said.strip().rstrip(".") + "."
        left = _LEFT.search(said)
        if left is None or not isinstance(request, RaceRequest):
            return BadInput(sentence)
        fits = self._fitting(request, int(left[2]))
        if not fits:
            return BadInput(f"{sentence} No race fits into what is left.")
        return BadInput(f"{sentence} Or ask for at most {fits:,} new tokens.", max_new_tokens=fits)

    def _fitting(self, request: RaceRequest, seconds: int) -> int:
        """Find the largest token count of which `seconds` hold a race; 0 if not even one token fits."""
        fits, too_many = 0, request.max_new_tokens + 1
        while too_many - fits > 1:
            tokens = (fits + too_many) // 2
            if self.ask(replace(request, max_new_tokens=tokens)).seconds <= seconds:
                fits = tokens
            else:
                too_many = tokens
        return fits


def pass_seconds(operations: int | None, weight_bytes: int, gpu: str) -> float | None:
    """Predict a forward pass: the longer of launching its operations and reading the weights; None for neither."""
    bandwidth = BANDWIDTHS.get(gpu)
    limits = [operations * OPERATION_SECONDS] if operations else []
    return max([*limits, weight_bytes / bandwidth] if bandwidth else limits, default=None)


def _passes(request: Request) -> float:
    """Count the most forward passes of a run. Rows side by side share one: a GPU hardly takes longer for them."""
    if isinstance(request, InsideRequest):
        return len(request.panels) * PASSES_A_PANEL * request.max_new_tokens
    lanes = request.race.strategies if isinstance(request, MeasureRequest) else request.strategies
    return request.steps / len(lanes) * _passes_a_token(lanes)


def _passes_a_token(lanes: Sequence[str]) -> int:
    """Count the most forward passes that all lanes run for one token each."""
    return sum(map(strategies.passes_a_token, lanes))
