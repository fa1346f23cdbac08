"""Calculate what a lane's text is like, from its tokens and their log-probabilities alone. The page shows these.

They say how likely the model finds the text and how often it repeats itself, not how good it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from kvdemo.core.types import UNKNOWN


def mean_logprob(logprobs: Sequence[float]) -> float | None:
    """Calculate the mean of ln p over the tokens; None without tokens, or where one of them is not finite."""
    if not logprobs or not all(map(math.isfinite, logprobs)):
        return None
    return math.fsum(logprobs) / len(logprobs)


def perplexity(logprobs: Sequence[float]) -> float | None:
    """Calculate exp(-mean ln p): of how many equally likely tokens each was one, on average. Jelinek et al. 1977.

    It is that of the lane's own text under the model that wrote it, not of a text that somebody else wrote: greedy
    decoding makes it low, also where the text runs in circles. None where the mean is, or where it exceeds a float.
    """
    mean = mean_logprob(logprobs)
    return math.exp(-mean) if mean is not None and mean > -math.log(1e300) else None


def distinct_2(tokens: Sequence[int]) -> float | None:
    """Calculate the share of different ones among all pairs of neighbouring tokens; None below two tokens.

    distinct-2 of Li et al. 2016 (arXiv:1510.03055), who divide by the number of tokens; here it is the number of pairs,
    so that a text without a repeated pair has 1. None where an id is UNKNOWN.
    """
    return None if UNKNOWN in tokens else _different(list(pairwise(tokens)))


def repeated_4gram(tokens: Sequence[int]) -> float | None:
    """Calculate 1 - different sequences of four tokens / all of them; None below four tokens.

    seq-rep-4 of Welleck et al. 2019 (arXiv:1908.04319): 0 where no four tokens come twice, near 1 in a loop. None where
    an id is UNKNOWN.
    """
    different = None if UNKNOWN in tokens else _different([tuple(tokens[i : i + 4]) for i in range(len(tokens) - 3)])
    return None if different is None else 1 - different


def _different(grams: Sequence[tuple[int, ...]]) -> float | None:
    return len(set(grams)) / len(grams) if grams else None
