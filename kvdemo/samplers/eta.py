"""Eta sampling: tokens below a probability that depends on the entropy are cut."""

from __future__ import annotations

from torch import Tensor
from transformers import EtaLogitsWarper, LogitsProcessor

from kvdemo.core.types import option
from kvdemo.samplers import checks
from kvdemo.samplers.base import Sampler


class Eta(Sampler):
    """Keeps the tokens with p_i >= min(eta, sqrt(eta)·exp(-H)), H the entropy, and the likeliest in any case.

    Where the model is unsure and every token is unlikely, the bar comes down. Hewitt, Manning and Liang 2022,
    arXiv:2210.15191.
    """

    id = "eta"
    name = "Eta"
    summary = "Cuts the tokens below a probability that is lower where the model is unsure."
    place = 100

    eta: float = option(
        0.0, "Eta", "The lowest probability that is kept where the model is sure; 0 is off.", high=0.999
    )

    def processor(self) -> LogitsProcessor:
        checks.leave_out()
        return _OnAnyDevice(self.eta)


class _OnAnyDevice(LogitsProcessor):
    """Makes transformers' rule on the device of the first scores, which it wants to know beforehand."""

    def __init__(self, eta: float) -> None:
        self.eta = eta
        self.rule: EtaLogitsWarper | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.rule = self.rule or EtaLogitsWarper(self.eta, device=str(scores.device))
        changed: Tensor = self.rule(input_ids, scores)
        return changed
