"""Define what a token was chosen from: the likeliest tokens, and what each rule of the lane made of them."""

from __future__ import annotations

from dataclasses import dataclass

#: How many of the model's likeliest tokens are recorded.
MOST = 10
#: What the first stage is called: the model's own distribution, at temperature 1, before any rule.
MODEL = "model"


@dataclass(frozen=True, slots=True)
class Stage:
    """The distribution after one rule of the lane was applied.

    name       what a reader calls the rule, with its setting, as in "top-k 20"; `MODEL` for the first
    survivors  tokens that can still be chosen
    entropy    in bits: the sum of -p · log2 p
    """

    name: str
    survivors: int
    entropy: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A token that might have been chosen, with its probability at each stage: None from the rule on that cut it."""

    token: int
    probabilities: tuple[float | None, ...]

    @property
    def cut(self) -> int | None:
        """The place of the stage that cut it; None for one that could be chosen to the end."""
        return next((place for place, p in enumerate(self.probabilities) if p is None), None)


@dataclass(frozen=True, slots=True)
class Candidates:
    """What one token was chosen from, as it was at that time.

    stages    the model's own distribution, and what each rule left of it, in the order in which the rules were applied
    likeliest  the `MOST` likeliest tokens of the model's distribution, likeliest first, fewer where it allows fewer;
              then the chosen one where it is not among them
    chosen    the place of the chosen token among these
    rank      the place of the chosen token in the last distribution, from 1; of equals, the lower id comes first
    drawn     the chosen token's part [low, high) of the last distribution, with the likeliest tokens first; None where
              the likeliest is taken and nothing is drawn

    A draw is the argmax of p / e, with a random number e of the exponential distribution for each token. So a token of
    probability p is drawn with probability p, as if one number from 0 to 1 had fallen into its part. But there is no
    such number: each token has one of its own.
    """

    stages: tuple[Stage, ...]
    likeliest: tuple[Candidate, ...]
    chosen: int
    rank: int
    drawn: tuple[float, float] | None
