"""Repetition penalty: the scores of tokens that the text has already are made worse."""

from __future__ import annotations

from transformers import LogitsProcessor, RepetitionPenaltyLogitsProcessor

from kvdemo.core.types import option
from kvdemo.samplers.base import Sampler


class RepetitionPenalty(Sampler):
    """Divides a positive score by the penalty and multiplies a negative one, for each token in the text, prompt too.

    It breaks the loops that greedy decoding falls into. It also punishes what a good text repeats: articles, commas,
    names, the words of the question. Its effect depends on where a model's scores have their zero, which means
    nothing: the same penalty is mild for one model and harsh for another. 1.1 to 1.3 are usual. Keskar et al. 2019,
    arXiv:1909.05858.
    """

    id = "repetition_penalty"
    name = "Repetition penalty"
    summary = "Makes tokens less likely that the text has already."
    place = 10
    greedy_too = True
    reads_text = True

    repetition_penalty: float = option(
        1.0, "Repetition penalty", "By what the scores of repeated tokens are divided; 1 is off.", low=0.01, high=10
    )

    def processor(self) -> LogitsProcessor:
        return RepetitionPenaltyLogitsProcessor(self.repetition_penalty)
