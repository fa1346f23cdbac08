"""Define what a token was chosen from, as a race's document has it."""

from __future__ import annotations

from typing_extensions import TypedDict


class Stage(TypedDict):
    """The distribution from which a token was chosen, after one rule of the lane.

    name       the rule and its setting, as in "top-k 20"; "model" for the model's own distribution, at temperature 1
    survivors  tokens that can still be chosen
    entropy    in bits: the sum of -p · log2 p
    """

    name: str
    survivors: int
    entropy: float


class Candidate(TypedDict):
    """A token that might have been chosen.

    text           what it adds after a word
    probabilities  one for each stage; null from the rule on that cut it
    cut            the place of the stage that cut it; null for one that could be chosen to the end
    """

    token: int
    text: str
    probabilities: list[float | None]
    cut: int | None


class Candidates(TypedDict):
    """What one token was chosen from.

    stages     the model's own distribution, then what each rule left of it, in the order of their application
    likeliest  the ten likeliest tokens of the model's distribution, then the chosen one if it is not among them
    chosen     the place of the chosen token among these
    rank       its place in the last distribution, from 1; of equals, the lower id comes first
    drawn      its part of the last distribution, from and to, with the likeliest tokens first; null where the likeliest
               is taken. A draw is the argmax of p / e with a random number e (exponential) for each token: there is no
               single number that has fallen into this part
    """

    stages: list[Stage]
    likeliest: list[Candidate]
    chosen: int
    rank: int
    drawn: list[float] | None
