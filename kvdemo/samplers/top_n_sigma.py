"""Top-n-sigma: only scores within n standard deviations of the highest are kept."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LogitsProcessor

from kvdemo.core.types import option
from kvdemo.samplers.base import Sampler


class TopNSigma(Sampler):
    """Keeps the tokens with z_i >= max(z) - n·sigma, where sigma is the standard deviation of all scores.

    The scores of a language model are a broad bell of tokens that mean nothing, and a few that stand out far above it.
    The distance from the highest is counted in widths of that bell. Dividing all scores by a temperature changes
    distance and width alike, so the tokens that are kept are the same at every temperature: it stays coherent where
    top-p and min-p let noise in. Small n cuts much; 1 is the usual value. Tang et al. 2024, arXiv:2411.07641.
    """

    id = "top_n_sigma"
    name = "Top-nσ"
    summary = "Keeps the scores within n standard deviations of the highest, at any temperature the same ones."
    place = 35

    top_n_sigma: float = option(0.0, "Top-nσ", "Standard deviations below the highest score; 0 is off.", high=100)

    def processor(self) -> LogitsProcessor:
        return _TopNSigma(self.top_n_sigma)


class _TopNSigma(LogitsProcessor):
    """Cuts the scores that are lower than n standard deviations of the finite ones below the highest."""

    def __init__(self, n: float) -> None:
        self.n = n

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # noqa: ARG002 - the form of transformers
        finite = scores.isfinite()
        count = finite.sum(-1, keepdim=True)
        mean = scores.where(finite, 0).sum(-1, keepdim=True) / count
        variance = (scores - mean).square().where(finite, 0).sum(-1, keepdim=True) / (count - 1).clamp_min(1)
        lowest = scores.amax(-1, keepdim=True) - self.n * variance.sqrt()
        return scores.masked_fill(scores < lowest, -torch.inf)
