"""No repeated n-gram: a token is cut that would complete n tokens which the text has already."""

from __future__ import annotations

from transformers import LogitsProcessor, NoRepeatNGramLogitsProcessor

from kvdemo.core.types import option
from kvdemo.samplers.base import Sampler


class NoRepeatNGram(Sampler):
    """Cuts every token that would end a sequence of n tokens which stands in the text already, prompt included.

    No loop of n tokens or more is possible then. Neither is a name of n tokens that comes twice. From summarisation:
    Paulus, Xiong and Socher 2017, arXiv:1705.04304.
    """

    id = "no_repeat_ngram"
    name = "No repeated n-gram"
    summary = "Allows no sequence of n tokens twice."
    place = 20
    greedy_too = True
    reads_text = True

    no_repeat_ngram: int = option(
        0, "No repeated n-gram", "Tokens that may not come twice in a row; 0 is off.", high=64
    )

    def processor(self) -> LogitsProcessor:
        return NoRepeatNGramLogitsProcessor(self.no_repeat_ngram)
