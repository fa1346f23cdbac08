"""Compare loops step by step: at each position one step of each loop, in random order, and ratios of such pairs.

On a shared machine the same loop takes 0.8 to 1.2 times as long from one block of seconds to the next, so blocks
cannot resolve 1 %. Two steps that follow each other at once, at the same position of the same text, meet the same
machine. The random order averages out what a step leaves behind for the next one, such as evicted processor caches.

A loop is a function that starts afresh and returns a generator: each `next()` takes one step and gives its seconds.
The step may run in this thread, in another one or in another process.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Loop = Callable[[], Generator[float, None, None]]
#: Seconds, shape (rounds, positions). Equal places in the arrays of two loops are a pair.
Samples = NDArray[np.float64]

CONFIDENCE = 0.95
RESAMPLES = 2000
#: So few rounds cannot show how rounds differ.
LEAST_ROUNDS = 8


@dataclass(frozen=True)
class Ratio:
    """The median of paired ratios, and the interval of that median at 95 % confidence."""

    value: float
    low: float
    high: float

    @property
    def interval(self) -> tuple[float, float]:
        return self.low, self.high


def take(loops: Mapping[str, Loop], *, rounds: int, positions: int, skip: int = 1, seed: int = 0) -> dict[str, Samples]:
    """Run all loops in lockstep; the seconds of each, shape (rounds, positions).

    In each round every loop starts afresh, takes `skip` steps that do not count (the prefill, the first use of a
    kernel) and then `positions` steps that do. Loops are closed at the end of a round, also when one of them raises.
    """
    order = np.random.default_rng(seed)
    seconds = {name: np.zeros((rounds, positions)) for name in loops}
    for turn in range(rounds):
        with ExitStack() as running:
            steps = {name: running.enter_context(closing(start())) for name, start in loops.items()}
            for position in range(-skip, positions):
                for name in order.permutation(list(loops)):
                    spent = next(steps[name])
                    if position >= 0:
                        seconds[name][turn, position] = spent
    return seconds


def repeated(run: Callable[[], float]) -> Loop:
    """Make a loop whose step is a whole run, which gives its seconds. Take one position a round, and skip none."""

    def runs() -> Generator[float, None, None]:
        while True:
            yield run()

    return runs


def block(run: Callable[[], list[float]]) -> Loop:
    """Make a loop of a run that takes all its steps at once, and then tells the seconds of each."""

    def steps() -> Generator[float, None, None]:
        yield from run()

    return steps


def ratio(numerator: Samples, denominator: Samples, seed: int = 0) -> Ratio:
    """Calculate how many times as long the steps of one loop take as those of the other at the same positions.

    The interval is a percentile bootstrap of the median (Efron, B., and Tibshirani, R. J. (1993), "An Introduction to
    the Bootstrap", chapter 13). Whole rounds are drawn, not single pairs: the steps of one round share the memory that
    their caches were given, and an advantage that comes with it. One round fewer is drawn than there are, which makes
    up for the scatter that a few rounds understate. Raises ValueError for fewer than eight rounds.
    """
    ratios = numerator / denominator
    rounds = len(ratios)
    if rounds < LEAST_ROUNDS:
        raise ValueError(f"{rounds} rounds give no interval: take at least {LEAST_ROUNDS}")
    drawn = np.random.default_rng(seed).integers(rounds, size=(RESAMPLES, rounds - 1))
    medians = np.median(ratios[drawn].reshape(RESAMPLES, -1), axis=1)
    low, high = np.quantile(medians, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Ratio(float(np.median(ratios)), float(low), float(high))
