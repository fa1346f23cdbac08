"""Top-h: the likeliest tokens are kept up to a share of the distribution's entropy."""

from __future__ import annotations

from transformers import LogitsProcessor, TopHLogitsWarper

from kvdemo.core.types import option
from kvdemo.samplers import checks
from kvdemo.samplers.base import Sampler


class TopH(Sampler):
    """Keeps the likeliest tokens whose terms -p·log p add up to at most h times the entropy of the distribution.

    Where the model is sure, the entropy is small and few tokens are kept; where it is not, many are. transformers
    looks at the hundred likeliest tokens and takes them for all. Baghaei Potraghloo et al. 2025, arXiv:2509.02510.
    """

    id = "top_h"
    name = "Top-h"
    summary = "Keeps the likeliest tokens up to a share of the entropy of the hundred likeliest."
    place = 40

    top_h: float = option(1.0, "Top-h", "Share of the entropy that is kept; 1 is off.", low=0.001, high=1)

    def processor(self) -> LogitsProcessor:
        checks.leave_out()
        return TopHLogitsWarper(self.top_h)
