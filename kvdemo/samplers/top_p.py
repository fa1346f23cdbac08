"""Top-p (nucleus sampling): the likeliest tokens are kept that together have a share of the probability."""

from __future__ import annotations

from transformers import LogitsProcessor, TopPLogitsWarper

from kvdemo.core.settings.race import race_option
from kvdemo.samplers.base import Sampler


class TopP(Sampler):
    """Keeps the fewest likeliest tokens whose probabilities add up to at least p.

    Few where the model is sure, many where it is not. The probabilities are those after the temperature, so a high
    temperature also makes the nucleus large, and noise comes in. Holtzman et al. 2019, arXiv:1904.09751, who call it
    nucleus sampling.
    """

    id = "top_p"
    name = "Top-p"
    summary = "Keeps the fewest likeliest tokens that have a share p of the probability."
    place = 60

    top_p: float = race_option("top_p")

    def processor(self) -> LogitsProcessor:
        return TopPLogitsWarper(self.top_p)
