"""Typical sampling: tokens are kept whose surprise is close to what the model expects."""

from __future__ import annotations

from transformers import LogitsProcessor, TypicalLogitsWarper

from kvdemo.core.types import option
from kvdemo.samplers.base import Sampler


class TypicalP(Sampler):
    """Keeps tokens in the order of | -log p_i - H |, H the entropy, until their probabilities add up to p.

    People mostly say what is about as surprising as expected. So a token that is too likely can be cut, too, which no
    other rule here does: where one token is nearly certain, that is what makes texts vary, and what makes them wrong.
    Meister et al. 2022, arXiv:2202.00666.
    """

    id = "typical_p"
    name = "Typical-p"
    summary = "Keeps the tokens whose surprise is closest to the expected one, up to a share p."
    place = 80

    typical_p: float = option(1.0, "Typical-p", "Share of the probability that is kept; 1 is off.", low=0.001, high=1)

    def processor(self) -> LogitsProcessor:
        return TypicalLogitsWarper(self.typical_p)
