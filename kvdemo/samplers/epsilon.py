"""Epsilon sampling: tokens below a fixed probability are cut."""

from __future__ import annotations

from transformers import EpsilonLogitsWarper, LogitsProcessor

from kvdemo.core.types import option
from kvdemo.samplers.base import Sampler


class Epsilon(Sampler):
    """Keeps the tokens with p_i >= epsilon, and the likeliest in any case.

    A token that the model holds for less likely than that is taken for noise of the softmax, which gives every token
    some probability. Where all tokens are unlikely, it cuts good ones: eta sampling mends that. Hewitt, Manning and
    Liang 2022, arXiv:2210.15191.
    """

    id = "epsilon"
    name = "Epsilon"
    summary = "Cuts the tokens below a fixed probability."
    place = 90

    epsilon: float = option(0.0, "Epsilon", "The lowest probability that is kept; 0 is off.", high=0.999)

    def processor(self) -> LogitsProcessor:
        return EpsilonLogitsWarper(self.epsilon)
