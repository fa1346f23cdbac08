"""Top-k: only the k likeliest tokens are kept."""

from __future__ import annotations

from transformers import LogitsProcessor, TopKLogitsWarper

from kvdemo.core.types import option
from kvdemo.samplers.base import Sampler


class TopK(Sampler):
    """Keeps the k tokens with the highest scores, and more only where the last of them tie.

    k is the same for every step. Where the model is sure, k lets unlikely tokens in; where many tokens are as good,
    it cuts good ones. It keeps the long tail out at any temperature. Fan et al. 2018, arXiv:1805.04833.
    """

    id = "top_k"
    name = "Top-k"
    summary = "Keeps the k likeliest tokens, the same number at every step."
    place = 50

    top_k: int = option(1_000_000, "Top-k", "How many of the likeliest tokens are kept.", low=1, high=1_000_000)

    def processor(self) -> LogitsProcessor:
        return TopKLogitsWarper(self.top_k)
