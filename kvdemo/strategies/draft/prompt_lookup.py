"""Draft the next tokens from the text itself, and verify them in one pass (prompt lookup)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from kvdemo.core.figures import units
from kvdemo.core.picture import Picture
from kvdemo.core.types import Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.base import Job, Strategy, option
from kvdemo.strategies.draft import verify
from kvdemo.strategies.draft.ngram_index import NGrams


class PromptLookup(Strategy):
    """Looks for the last two or three tokens earlier in the text, prompt included, and guesses that the same follows.

    The guess costs next to nothing. The model checks all of it in one forward pass: it keeps the guessed tokens up to
    the first that it would not have written, writes its own there, and the rest is cut off the cache. So a step yields
    one token at least, and up to one more than was guessed; each is what the model writes or draws anyway. It wins
    where the answer repeats the prompt: code with one change, a summary with quotations, a text corrected. Elsewhere
    guesses are rare or wrong, and a pass over a wrong guess costs more than one over a single token: little on a GPU,
    more on a CPU. The idea is Saxena's (2023, github.com/apoorvumang/prompt-lookup-decoding).
    """

    id = "prompt_lookup"
    name = "Prompt lookup"
    summary = "Guesses the next tokens from repetitions in the text and checks them in one pass."
    lossless = True
    picture = Picture(computes="drafted", keeps="all", draft="draft_tokens")

    ngram: int = option(
        3,
        "N-gram",
        "Tokens at the end of the text that are looked for; two do if so many are not found.",
        low=1,
        high=16,
    )
    draft_tokens: int = option(10, "Draft tokens", "The most tokens guessed for one pass.", low=1, high=64)

    def unavailable_reason(self, model: LoadedModel) -> str | None:
        return verify.unavailable_reason(model)

    @torch.inference_mode()
    def decode(self, job: Job) -> Iterator[Step]:
        yield from verify.draft_and_verify(job, NGrams(self.ngram).continuation, self.draft_tokens)

    def remarks(self, steps: Sequence[TimedStep]) -> list[str]:
        passes, drafted, accepted = verify.draft_counts(steps)
        if not passes:
            return []
        name, each = self.info.name, units.count(passes, "step")
        if not drafted:
            return [f"{name} found nothing to repeat in {each}: each wrote one token."]
        tokens = sum(len(timed.step.choices) for timed in steps[1:])
        return [
            f"{name} guessed {units.count(drafted, 'token')} and the model accepted {accepted:,} of them "
            f"({accepted / drafted:.0%}): {units.figures(accepted / passes)} accepted a step, "
            f"{units.figures(tokens / passes)} tokens a step in {each} after the prompt."
        ]
