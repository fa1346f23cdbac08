"""Build one cell of the sweep: each lane's time to a token count, the speedup, and what binds the lanes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from statistics import median

from kvdemo.core.figures.metrics import seconds_to_token
from kvdemo.core.types import LaneInfo
from kvdemo.measure.report.lane_entry import Entry, predict
from kvdemo.measure.roofline import bounds, what_binds
from kvdemo.measure.roofline.bounds import RooflineModel
from kvdemo.measure.single_run import Trial


def sweep_cell(
    prompt_tokens: int,
    new_tokens: int,
    runs: Mapping[str, tuple[LaneInfo, Sequence[Trial]]],
    machine: RooflineModel | None,
) -> Entry:
    """Build one cell of the sweep: each lane's median time to the count, read from runs that went at least as far."""
    samples = {
        strategy: [seconds_to_token(trial.steps, new_tokens) for trial in trials]
        for strategy, (_, trials) in runs.items()
    }
    seconds = {strategy: median(values) for strategy, values in samples.items()}
    baseline, *others = runs
    bound: dict[str, bounds.Bound | None] = {
        strategy: predict(
            trials[0], prompt_tokens, machine.for_strategy(strategy), slice(_steps_to(trials[0], new_tokens))
        ).binding(seconds[strategy])
        for strategy, (_, trials) in runs.items()
        if machine
    }
    return {
        "prompt_tokens": prompt_tokens,
        "new_tokens": new_tokens,
        "n": {strategy: len(values) for strategy, values in samples.items()},
        "seconds": seconds,
        "range": {strategy: [min(values), max(values)] for strategy, values in samples.items()},
        "speedup": {strategy: _over(seconds[baseline], seconds[strategy]) for strategy in others},
        "bound": bound,
        "reason": " ".join(_cell_reason(runs, samples, bound, baseline, strategy) for strategy in others)
        or "There is one lane: nothing to compare it with.",
    }


def _over(baseline: float, seconds: float) -> float | None:
    """Calculate a speedup; None with a clock that did not tick."""
    return baseline / seconds if baseline > 0 and seconds > 0 else None


def _steps_to(trial: Trial, tokens: int) -> int:
    """Count a run's steps to the n-th token."""
    committed = itertools.accumulate(len(timed.step.choices) for timed in trial.steps)
    return next(n for n, done in enumerate(committed, start=1) if done >= tokens)


def _cell_reason(
    runs: Mapping[str, tuple[LaneInfo, Sequence[Trial]]],
    samples: Mapping[str, Sequence[float]],
    bound: Mapping[str, bounds.Bound | None],
    baseline: str,
    strategy: str,
) -> str:
    if not bound:
        return "What binds them cannot be said: this model's shape is not understood, or the device was not measured."
    ours, theirs = samples[strategy], samples[baseline]
    overlap = min(len(ours), len(theirs)) > 1 and max(min(ours), min(theirs)) <= min(max(ours), max(theirs))
    return what_binds.cell_reason(
        (runs[baseline][0].name, bound[baseline]),
        (runs[strategy][0].name, bound[strategy]),
        None if overlap else _over(median(theirs), median(ours)),
    )
