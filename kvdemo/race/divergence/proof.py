"""Prove that rounding explains why the texts of two lanes differ, or that it cannot.

Both lanes recorded the log-probability of the token that they chose and of the runner-up, at the divergence and at
the steps before it, where their texts are equal. These are compared with what the model computes on the same ids in
other exact ways (`kvdemo.race.divergence.rounding`). Four conditions must hold:

    - at the divergence, the recorded log-probabilities differ from the exact ones by no more than rounding does
    - so do those of the last sixteen steps together: they show a small fault that one step hides
    - each lane's token is, up to rounding, the one that its rule picks from the exact distribution; for a lane that
      draws, the same draw is made again
    - a 16-bit lane's own last steps, run again in the wider format, give the exact log-probabilities

Before a lane is reported to be off, the model is perturbed: a tie inside the model amplifies a small difference, and
that is rounding too. Where the model takes some of equal scores, which ones a lane took is not known. Then what other
choices do is allowed for, and the last condition holds for lanes of all formats, with one way to choose: a lane that is
correct gives the exact log-probabilities. The limits are set so that correct lanes stay below half of them
(tests/race/divergence/test_proof.py has the figures).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from kvdemo.core.cancellation import CancelToken
from kvdemo.core.types import Choice
from kvdemo.models.device import widest
from kvdemo.models.loaded import LoadedModel
from kvdemo.race.divergence.rounding import Rounding, difference
from kvdemo.samplers import Rule
from kvdemo.strategies.chooser import Chooser, drawable
from kvdemo.strategies.compatibility.scripted_lane import Decode

#: How far a lane that is run again in the wider format may be from the exact log-probabilities, in units of what the
#: model's own format rounds: correct lanes come to less than 0.001, lanes with a fault to 0.29 and more (the tests).
RERUN_LIMIT = 1 / 64
#: Passes that choose by chance among equal scores. Two equal scores leave one other choice, which half of them make.
_TIED_PASSES = 12


class Stopped(Exception):
    """The user stopped the race before the proof was done."""


def limit(steps: int) -> float:
    """Return how many units of rounding a lane may be off, root mean square over `steps`.

    One step has two numbers, whose error chance can make large; over many steps correct lanes come close to one unit.
    """
    return 1.6 + 4.4 / math.sqrt(steps)


@dataclass(frozen=True)
class RecordedError:
    """How far a lane's recorded log-probabilities are from the exact ones.

    last, all  units of rounding: the worse of the two numbers at the divergence; root mean square over all steps
    steps      how many there are, the divergence included
    step       where it is furthest off, in steps before the divergence; 0 is the divergence
    token      the one concerned, with the log-probability that the lane recorded, the exact one, and what rounding does
    """

    last: float
    all: float
    steps: int
    step: int
    token: int
    recorded: float
    exact: float
    unit: float

    @property
    def of_limit(self) -> float:
        """1 at the limit of what rounding explains."""
        return max(self.last / limit(1), self.all / limit(self.steps))


class RerunError(NamedTuple):
    """How far a lane's last `steps`, run again in the wider format, are from the exact ones: root mean square.

    In log-probability, and in units of what the model's own format rounds. `limit` is how many of these are allowed.
    """

    steps: int
    distance: float
    units: float
    limit: float

    @property
    def of_limit(self) -> float:
        """1 at the limit."""
        return self.units / self.limit

    @property
    def allowed(self) -> float:
        """How far they may be in log-probability."""
        return self.distance / self.of_limit


@dataclass(frozen=True)
class Evidence:
    """What was found at one divergence, for the baseline and the lane.

    recorded_errors  what each recorded
    outscored  by how much the exact distribution prefers another token to the one that each picked, in units
    rerun_errors     how far the last steps of each, run again in the wider format, are from the exact ones
    gap        how far apart the two tokens are in exact log-probability; drawn, in what the draw made of it
    """

    rounding: Rounding
    recorded_errors: tuple[RecordedError, RecordedError]
    outscored: tuple[float, float]
    rerun_errors: tuple[RerunError | None, RerunError | None]
    gap: float

    @property
    def of_limit(self) -> tuple[float, float]:
        """For each lane, 1 at the limit of what rounding explains. Where a token is picked, two numbers may be off."""
        first, second = (
            max(one.of_limit, outscored / (2 * limit(1)), rerun.of_limit if rerun else 0.0)
            for one, outscored, rerun in zip(self.recorded_errors, self.outscored, self.rerun_errors, strict=True)
        )
        return first, second

    def allowed(self, recorded_error: RecordedError) -> float:
        """Return how far off in log-probability one number may be."""
        return limit(1) * recorded_error.unit

    def allowed_units(self, recorded_error: RecordedError) -> float:
        """Count how many units of rounding a lane may be off over its steps."""
        return limit(recorded_error.steps)


def examine(
    model: LoadedModel,
    prompt_ids: Sequence[int],
    sides: tuple[Sequence[Choice], Sequence[Choice]],
    again: tuple[Decode | None, Decode | None],
    sampling: Rule,
    stop: CancelToken,
    rounding: Callable[..., Rounding] = Rounding,
) -> Evidence:
    """Examine a divergence: `sides` are the choices of the two lanes up to it, which is the last.

    `again` runs each lane again, in another number format; None for one that cannot be run so, or need not.
    Call it while nothing else runs on the device, never while a step is timed. Raises Stopped, BadInput for a text that
    cannot be run again, and what a pass raises that does not fit into memory.
    """
    index = len(sides[0]) - 1
    _raise_if_stopped(stop)
    found = rounding(model, [*prompt_ids, *(choice.token for choice in sides[0][:index])], index + 1)
    noise = draw_noise(found, sampling, index, stop)
    _raise_if_stopped(stop)
    squares = _rerun(found, (None, None) if found.wide_enough else again)
    evidence = _evidence(found, sides, squares, sampling, noise)
    if max(evidence.of_limit) > 1:
        _raise_if_stopped(stop)
        found.perturb()
        evidence = _evidence(found, sides, squares, sampling, noise)
    if max(evidence.of_limit) > 1 and found.ties:
        _raise_if_stopped(stop)
        squares = _rerun(found, again)
        if any(decode and square is None for decode, square in zip(again, squares, strict=True)):
            return evidence  # what another choice does would hide any fault
        for seed in range(_TIED_PASSES):
            _raise_if_stopped(stop)
            found.try_ties(seed)
        evidence = _evidence(found, sides, squares, sampling, noise)
    return evidence


def _rerun(rounding: Rounding, again: tuple[Decode | None, Decode | None]) -> list[Tensor | None]:
    return [rounding.rerun_squares(decode) if decode else None for decode in again]


def _raise_if_stopped(stop: CancelToken) -> None:
    if stop.is_set():
        raise Stopped


def _evidence(
    rounding: Rounding,
    sides: tuple[Sequence[Choice], Sequence[Choice]],
    squares: Sequence[Tensor | None],
    sampling: Rule,
    noise: Tensor | None,
) -> Evidence:
    ours, theirs = (recorded_error(rounding, choices) for choices in sides)
    tokens = [choices[-1].token for choices in sides]
    at = _scores(rounding, sampling, noise)[tokens].tolist()
    first, second = units_outscored(rounding, tokens, sampling, noise)
    ran = [None if one is None else rerun_error(rounding, one) for one in squares]
    return Evidence(rounding, (ours, theirs), (first, second), (ran[0], ran[1]), abs(at[0] - at[1]))


def rerun_error(rounding: Rounding, squares: Tensor) -> RerunError:
    """Return the figures of what `Rounding.rerun_squares` found."""
    units = squares / rounding.rounding_unit[-len(squares) :].square()
    most = limit(len(squares)) if rounding.wide_enough else RERUN_LIMIT  # models round to float32 inside a wider pass
    return RerunError(len(squares), float(squares.mean().sqrt()), float(units.mean().sqrt()), most)


def recorded_error(rounding: Rounding, choices: Sequence[Choice]) -> RecordedError:
    """Compare a lane's choices, the last of which is at the last position, with the exact log-probabilities."""
    recent = choices[-rounding.positions :]
    tokens = torch.tensor([[c.token, c.runner_up] for c in recent], device=rounding.exact.device)
    recorded = torch.tensor(
        [[c.logprob, c.runner_up_logprob] for c in recent], dtype=widest(tokens.device), device=tokens.device
    )
    exact = rounding.exact[-len(recent) :].gather(1, tokens)
    unit = rounding.unit[-len(recent) :, None].clamp_min(torch.finfo(torch.float32).eps)  # what a record can hold
    units = difference(recorded, exact).abs() / unit
    place = int(units.argmax())
    row, column = divmod(place, 2)
    return RecordedError(
        last=float(units[-1].max()),
        all=float(units.square().mean().sqrt()),
        steps=len(recent),
        step=len(recent) - 1 - row,
        token=int(tokens[row, column]),
        recorded=float(recorded[row, column]),
        exact=float(exact[row, column]),
        unit=float(unit[row, 0]),
    )


def draw_noise(rounding: Rounding, sampling: Rule, index: int, stop: CancelToken) -> Tensor | None:
    """Draw again the numbers with which token `index` was drawn; None for lanes that draw nothing."""
    like = rounding.exact[-1].float()
    if sampling.greedy:
        return None
    chooser = Chooser(sampling, like.device)
    for _ in range(index):
        _raise_if_stopped(stop)
        chooser.noise(like)
    return chooser.noise(like)


def _scores(rounding: Rounding, sampling: Rule, noise: Tensor | None) -> Tensor:
    """Return what decides between two tokens, shape (vocab,), in the size of log-probabilities at temperature 1."""
    exact = rounding.exact[-1]
    return exact if noise is None else exact - sampling.temperature * noise.to(exact.dtype).log()


def units_outscored(rounding: Rounding, tokens: Sequence[int], sampling: Rule, noise: Tensor | None) -> list[float]:
    """Count the units of rounding by which the exact distribution prefers another token, for each of two.

    Drawn, a token is picked for the highest score among those of the top-p part. What is near its edge may be in it or
    not: a token there counts as in, and no other is preferred to a token for being there.
    """
    unit = float(rounding.unit[-1].clamp_min(torch.finfo(torch.float32).eps))
    scores = _scores(rounding, sampling, noise)
    if noise is None:
        return [float(scores.max() - scores[token]) / unit for token in tokens]
    slack = math.expm1(min(1.0, 2 * limit(1) * unit / sampling.temperature))
    surely, perhaps = drawable(rounding.exact[-1], sampling, slack)
    best = scores[surely].max()
    return [float((best - scores[token]).clamp_min(0)) / unit if perhaps[token] else math.inf for token in tokens]
