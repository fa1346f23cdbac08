"""Calculate TTFT, TPOT, ITL, E2E and speed-up from timed steps. The page shows these definitions.

Seconds are a lane's own device time throughout: the time of other lanes in between does not count.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from kvdemo.core.figures import text_metrics
from kvdemo.core.types import TimedStep

#: Closer than this, two times are called the same: it is what two equal lanes differ by on a busy machine.
SAME = 1.05


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean, percentiles (linear interpolation) and maximum; `p99` only from 100 samples on."""

    mean: float
    p50: float
    p90: float
    p99: float | None
    max: float


@dataclass(frozen=True, slots=True)
class LaneMetrics:
    """The figures of a lane, in seconds. What is undefined is None: TPOT and ITL need tokens from two steps.

    A search commits tokens when its texts agree, not when it finds them. So its first token is not waited for and the
    others do not follow one by one: TTFT, TPOT and ITL mean nothing there. It has levels instead.

    ttft_s        start to first committed token, tokenisation and prefill included
    tpot_s        (e2e_s - ttft_s) / (tokens - 1)
    itl_s         the gaps between committed tokens; a step of k tokens counts k gaps of seconds/k
    e2e_s         start to last token
    tokens_per_s  tokens / e2e_s
    tokenize_s    the part of e2e_s that went into tokenisation
    positions     token positions run through the model
    levels        of a search: by how many tokens its texts grew; None for a lane that does not search
    level_s       e2e_s / levels, prefill included

    mean_logprob, perplexity, distinct_2, repeated_4gram: what the text is like (`kvdemo.core.figures.text_metrics`).
    """

    tokens: int
    ttft_s: float | None
    tpot_s: float | None
    itl_s: Spread | None
    e2e_s: float
    tokens_per_s: float | None
    tokenize_s: float
    positions: int
    levels: int | None = None
    level_s: float | None = None
    mean_logprob: float | None = None
    perplexity: float | None = None
    distinct_2: float | None = None
    repeated_4gram: float | None = None


def percentile(samples: Sequence[float], q: float) -> float:
    """Calculate the q-th percentile (0 to 100) with linear interpolation between ranks, as numpy.percentile does."""
    ordered = sorted(samples)
    rank = (len(ordered) - 1) * q / 100
    low = math.floor(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)


def spread(samples: Sequence[float]) -> Spread:
    """Summarise the spread of at least one sample."""
    return Spread(
        mean=math.fsum(samples) / len(samples),
        p50=percentile(samples, 50),
        p90=percentile(samples, 90),
        p99=percentile(samples, 99) if len(samples) >= 100 else None,
        max=max(samples),
    )


def lane_metrics(steps: Sequence[TimedStep]) -> LaneMetrics:
    """Calculate the figures of one lane from its steps, in order."""
    e2e = math.fsum(timed.seconds for timed in steps)
    choices = [choice for timed in steps for choice in timed.step.choices]
    ids, logprobs = [choice.token for choice in choices], [choice.logprob for choice in choices]
    levels = sum(len(timed.step.levels) for timed in steps) or None
    gaps = token_gaps(steps)
    ttft = steps[0].seconds if steps and not levels else None
    return LaneMetrics(
        tokens=len(ids),
        ttft_s=ttft,
        tpot_s=(e2e - ttft) / (len(ids) - 1) if ttft is not None and gaps else None,
        itl_s=spread(gaps) if gaps else None,
        e2e_s=e2e,
        tokens_per_s=len(ids) / e2e if e2e > 0 else None,
        tokenize_s=math.fsum(timed.tokenize_seconds for timed in steps),
        positions=sum(timed.step.positions for timed in steps),
        levels=levels,
        level_s=e2e / levels if levels else None,
        mean_logprob=text_metrics.mean_logprob(logprobs),
        perplexity=text_metrics.perplexity(logprobs),
        distinct_2=text_metrics.distinct_2(ids),
        repeated_4gram=text_metrics.repeated_4gram(ids),
    )


def searched(steps: Sequence[TimedStep]) -> bool:
    """Tell whether the steps are those of a search, which commits tokens when it is certain of them."""
    return any(timed.step.levels for timed in steps)


def token_gaps(steps: Sequence[TimedStep]) -> list[float]:
    """List ITL samples in seconds: the gap before each committed token after the first step. Empty for a search."""
    gaps: list[float] = []
    if searched(steps):
        return gaps
    for timed in steps[1:]:
        committed = len(timed.step.choices)
        gaps += [timed.seconds / committed] * committed
    return gaps


def steps_to_token(steps: Sequence[TimedStep], n: int) -> Sequence[TimedStep]:
    """Return the steps until the n-th token (from 1) was committed. Raises ValueError if there are fewer."""
    committed = itertools.accumulate(len(timed.step.choices) for timed in steps)
    for taken, tokens in enumerate(committed, start=1):
        if tokens >= n:
            return steps[:taken]
    raise ValueError(f"fewer than {n} tokens were committed")


def seconds_to_token(steps: Sequence[TimedStep], n: int) -> float:
    """Add up the device seconds until the n-th token was committed."""
    return list(itertools.accumulate(timed.seconds for timed in steps_to_token(steps, n)))[-1]


def positions_to_token(steps: Sequence[TimedStep], n: int) -> int:
    """Add up the positions run until the n-th token was committed."""
    return sum(timed.step.positions for timed in steps_to_token(steps, n))


def speedup(baseline: Sequence[TimedStep], steps: Sequence[TimedStep]) -> float | None:
    """Divide the baseline's time by the lane's, at the smaller of the two token counts; None where that is undefined.

    It is undefined without tokens, or with a clock that did not tick. With unequal counts it is undefined where a lane
    ended after its first token, which took the prompt's time, and where one is a search, of which only the whole time
    is comparable.
    """
    counts = [sum(len(timed.step.choices) for timed in lane) for lane in (baseline, steps)]
    shared = min(counts)
    if shared == 0 or (counts[0] != counts[1] and (shared == 1 or searched(baseline) or searched(steps))):
        return None
    times = seconds_to_token(baseline, shared), seconds_to_token(steps, shared)
    return times[0] / times[1] if min(times) > 0 else None


def first_difference(a: Sequence[int] | str, b: Sequence[int] | str, start: int = 0) -> int | None:
    """Find the first index from `start` at which both have an element and the two differ; None if there is none."""
    shared = min(len(a), len(b))
    return next((i for i in range(start, shared) if a[i] != b[i]), None)
