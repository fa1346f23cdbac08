"""Build one cell of the sweep: each lane's time to a token count, the speedup, and what binds the lanes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from kvdemo.core.figures import units
from kvdemo.core.figures.metrics import searched, seconds_to_token, steps_to_token
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
    """Build one cell of the sweep: each lane's median time to the count, read from runs that went at least as far.

    A search that went further has no time to the count: it works on its whole text, and has all of it at the end.
    """
    samples = {
        strategy: [seconds_to_token(trial.steps, new_tokens) for trial in trials]
        for strategy, (_, trials) in runs.items()
        if not any(_searched_further(trial, new_tokens) for trial in trials)
    }
    medians = {strategy: median(values) for strategy, values in samples.items()}
    baseline, *others = runs
    bound: dict[str, bounds.Bound | None] = {}
    for strategy, (_, trials) in runs.items():
        if machine and strategy in medians:
            taken = slice(len(steps_to_token(trials[0].steps, new_tokens)))
            predicted = predict(trials[0], prompt_tokens, machine.for_strategy(strategy), taken)
            bound[strategy] = predicted.binding(medians[strategy])
    reasons = [_no_time(info.name, trials[0]) for strategy, (info, trials) in runs.items() if strategy not in medians]
    if baseline in medians:
        reasons += [_cell_reason(runs, samples, bound, baseline, other) for other in others if other in medians]
    return {
        "prompt_tokens": prompt_tokens,
        "new_tokens": new_tokens,
        "n": {strategy: len(samples.get(strategy, ())) for strategy in runs},
        "seconds": {strategy: medians.get(strategy) for strategy in runs},
        "range": {
            strategy: [min(values), max(values)] if (values := samples.get(strategy)) else None for strategy in runs
        },
        "speedup": {strategy: _over(medians.get(baseline), medians.get(strategy)) for strategy in others},
        "bound": bound,
        "reason": " ".join(reasons) or "There is one lane: nothing to compare it with.",
    }


def _over(baseline: float | None, seconds: float | None) -> float | None:
    """Calculate a speedup; None without a time, or with a clock that did not tick."""
    return baseline / seconds if baseline and seconds else None


def _searched_further(trial: Trial, tokens: int) -> bool:
    """Tell whether a run is that of a search for more tokens than these."""
    return searched(trial.steps) and len(trial.tokens) > tokens


def _no_time(name: str, trial: Trial) -> str:
    return (
        f"{name} is a search, which has its text at its end: it ran to {units.count(len(trial.tokens), 'token')}, and "
        "what fewer would have taken it is not known."
    )


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
