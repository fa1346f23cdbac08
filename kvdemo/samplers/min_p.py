"""Min-p: tokens are kept that are at least a share as likely as the likeliest."""

from __future__ import annotations

from transformers import LogitsProcessor, MinPLogitsWarper

from kvdemo.core.types import option
from kvdemo.samplers.base import Sampler


class MinP(Sampler):
    """Keeps the tokens with p_i >= min_p · max(p).

    The bar follows the model's own certainty: high where one token stands out, low where many are as good. It allows
    higher temperatures than top-p does, because a flat tail stays below the bar. Values of 0.05 to 0.1 are usual.
    Nguyen et al. 2024, arXiv:2407.01082.
    """

    id = "min_p"
    name = "Min-p"
    summary = "Keeps the tokens that are at least a share as likely as the likeliest."
    place = 70

    min_p: float = option(0.0, "Min-p", "Share of the highest probability that a token needs; 0 is off.", high=1)

    def processor(self) -> LogitsProcessor:
        return MinPLogitsWarper(self.min_p)
