"""Summarise a few timings, and claim a difference only where they support it.

A mean alone does not say whether the next run would agree with it. So each figure comes with its scatter and its n,
with a warning where the scatter is wide. Each ratio comes with an interval: the ratios that the runs are compatible
with. A difference is claimed only where that interval leaves out 1.

The interval is that of Welch's t-test on the logarithms of the times: a difference of mean logarithms is the
logarithm of a ratio, and times scatter by a factor rather than by an amount. Welch, B. L. (1947), "The generalization
of 'Student's' problem when several different population variances are involved", Biometrika 34, 28-35. It takes the
runs for independent, and it knows only the scatter that they show.
"""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from kvdemo.core.figures import units
from kvdemo.core.figures.metrics import percentile

CONFIDENCE = 0.95
# A spread of the runs above this share of their median is worth a warning.
NOISY = 0.05


@dataclass(frozen=True, slots=True)
class Summary:
    """Samples in figures, in the samples' own unit.

    std  sample standard deviation (divides by n - 1), None for a single sample
    p90, p99  percentiles with linear interpolation; p99 is None below 100 samples
    """

    n: int
    mean: float
    std: float | None
    median: float
    p90: float
    p99: float | None
    min: float
    max: float


@dataclass(frozen=True, slots=True)
class Speedup:
    """How many times as fast one side is as its baseline, and how sure that is.

    ratio        the baseline's mean time over the other side's; above 1 the other side is faster
    low, high    the ratios that the runs are compatible with, at 95 % confidence; None if that cannot be said
    significant  whether low to high leaves out 1; None without an interval
    n_baseline, n  runs on either side
    missing      why there is no interval, as a sentence; None where there is one
    """

    ratio: float
    low: float | None
    high: float | None
    significant: bool | None
    n_baseline: int
    n: int
    missing: str | None = None


def summarize(samples: Sequence[float]) -> Summary:
    """Summarise at least one sample. Raises ValueError without any."""
    if not samples:
        raise ValueError("no samples to summarise")
    return Summary(
        n=len(samples),
        mean=statistics.fmean(samples),
        std=statistics.stdev(samples) if len(samples) > 1 else None,
        median=percentile(samples, 50),
        p90=percentile(samples, 90),
        p99=percentile(samples, 99) if len(samples) >= 100 else None,
        min=min(samples),
        max=max(samples),
    )


def noise_warning(samples: Sequence[float]) -> str | None:
    """Warn, in a sentence, of runs that scatter by more than 5 % of their median; None if they do not, or for one run.

    The scatter is the interquartile range, which one disturbed run cannot widen. For two or three runs, which are too
    few for quartiles, it is the full range.
    """
    n = len(samples)
    if n < 2 or (centre := percentile(samples, 50)) <= 0:
        return None
    quartiles = n >= 4
    low, high = (percentile(samples, 25), percentile(samples, 75)) if quartiles else (min(samples), max(samples))
    if high - low <= NOISY * centre:
        return None
    width = f"{(high - low) / centre * 100:.1f} % of the median wide"
    if quartiles:
        return f"The middle half of the {n} runs is {width}: differences smaller than that mean nothing."
    return (
        f"The full range of the {n} runs (too few for quartiles) is {width}: "
        "differences smaller than that mean nothing."
    )


def speedup(baseline: Sequence[float], samples: Sequence[float]) -> Speedup:
    """Divide the baseline's mean time by that of `samples`, with an interval where one can be given.

    Times in seconds, above 0; raises ValueError for others, or for none.
    """
    if not baseline or not samples or min(*baseline, *samples) <= 0:
        raise ValueError("a ratio needs times above zero on both sides")
    ratio = statistics.fmean(baseline) / statistics.fmean(samples)
    counts = (len(baseline), len(samples))
    interval = _welch(baseline, samples)
    if isinstance(interval, str):
        return Speedup(ratio, None, None, None, *counts, missing=interval)
    low, high = interval
    # The interval is about typical runs, the ratio about means: a wildly skewed sample can tear the two apart. The
    # margin is for rounding.
    if not low * (1 - 1e-9) <= ratio <= high * (1 + 1e-9):
        torn = "A few runs far from the rest pull the means away from the others: no interval can be given."
        return Speedup(ratio, None, None, None, *counts, missing=torn)
    return Speedup(ratio, low, high, low > 1 or high < 1, *counts)


def _welch(baseline: Sequence[float], samples: Sequence[float]) -> tuple[float, float] | str:
    """Calculate the interval of the ratio of typical times, or say in a sentence why there is none."""
    counts = f"n = {len(samples)} and {len(baseline)}"
    if len(baseline) == len(samples) == 1:
        return "One run each: nothing can be said about significance."
    if min(len(baseline), len(samples)) == 1:
        return f"One run on one side ({counts}): nothing can be said about significance."
    if len(set(baseline)) == len(set(samples)) == 1:
        return f"The runs of each side are equal to the last digit ({counts}): no interval can be given."
    try:
        from scipy.stats import ttest_ind  # type: ignore[import-untyped]  # noqa: PLC0415 - a machine may lack it
    except ImportError:
        return f"No interval can be given, because SciPy is not installed ({counts})."
    logarithms = [[math.log(seconds) for seconds in side] for side in (baseline, samples)]
    with warnings.catch_warnings():
        # SciPy warns where one side does not vary at all; the other side's scatter then makes the interval.
        warnings.simplefilter("ignore", RuntimeWarning)
        interval = ttest_ind(*logarithms, equal_var=False).confidence_interval(CONFIDENCE)
    low, high = float(interval.low), float(interval.high)
    # Beyond a factor of exp(±300) an interval says nothing; NaN fails the comparison too.
    if not -300 < low <= high < 300:
        return f"The runs scatter too much for an interval ({counts})."
    return math.exp(low), math.exp(high)


def statement(found: Speedup, name: str, baseline: str) -> str:
    """Write the ratio as a sentence that claims no more than the runs support. The n of `name` is named first."""
    if found.low is None or found.high is None:
        return f"{_claim(found.ratio, name, baseline, 'was', 'took')}. {found.missing}"
    counts = f"n = {found.n} and {found.n_baseline}"
    if not found.significant:
        low, high = figures(found.low, found.high)
        return (
            f"These runs do not show which of {name} and {baseline} is faster: by their scatter, {name} is {low} to "
            f"{high}× as fast ({counts}). More repeats on a quiet machine narrow that down."
        )
    ends = (found.low, found.high) if found.ratio >= 1 else (1 / found.high, 1 / found.low)
    low, high = figures(*ends)
    claim = _claim(found.ratio, name, baseline, "is", "takes")
    return f"{claim} ({CONFIDENCE * 100:.0f} % interval {low} to {high}, {counts})."


def _claim(ratio: float, name: str, baseline: str, be: str, take: str) -> str:
    """Write the ratio as a factor above 1: "0.5× as fast" is hard to read."""
    if ratio >= 1:
        return f"{name} {be} {figures(ratio)[0]}× as fast as {baseline}"
    return f"{name} {take} {figures(1 / ratio)[0]}× as long as {baseline}"


def figures(*ratios: float) -> list[str]:
    """Write ratios of repeated runs with two decimals, or more where one that is not 1 would read 1.00."""
    decimals = 2
    while decimals < 6 and any(ratio != 1 and abs(ratio - 1) < 0.5 * 10**-decimals for ratio in ratios):
        decimals += 1
    return [
        f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.{decimals}f}" if ratio >= 0.01 else units.figures(ratio, 2)
        for ratio in ratios
    ]
