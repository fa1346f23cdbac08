"""Speculative decoding: a small model drafts the next tokens, the large one verifies them in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from kvdemo.core.picture import Picture
from kvdemo.core.types import Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.base import Beside, Job, Strategy, option
from kvdemo.strategies.draft import draft_model, verify
from kvdemo.strategies.draft.steps_with_draft_model import remarks, speculate


class Speculative(Strategy):
    """A small model of the same family drafts a few tokens, one by one; the large one checks them in one pass.

    The large model picks its own token at every position, greedily or by the lane's draw; the draft counts as far as it
    is the same, and the large model's next token comes on top. So the text, and with sampling its distribution, is
    the large model's alone (the stricter rule of Leviathan et al. 2023 accepts a little more often when sampling). It
    wins where a step of the large model is dear, the small one is cheap and mostly right: it pays when the share of
    drafted tokens accepted is larger than the price of one in passes of the large model. It costs the memory of a
    second model and its cache, and loses on easy hardware for a model that is small already.
    """

    id = "speculative"
    name = "Speculative"
    summary = "A smaller model drafts the next tokens; the model checks them in one pass."
    lossless = True
    picture = Picture(computes="drafted", keeps="all", draft="draft_tokens")
    drafts_from = "draft_tokens"

    draft: str = option(
        "auto",
        "Draft model",
        "The small model; auto takes one of the catalogue that is of the same family.",
        choices=("auto", "SmolLM2-135M-Instruct", "SmolLM2-360M-Instruct", "gpt2", "Qwen3-0.6B"),
    )
    draft_tokens: int = option(4, "Draft tokens", "Tokens drafted for one pass.", low=1, high=32)

    def unavailable_reason(self, model: LoadedModel) -> str | None:
        return verify.unavailable_reason(model) or draft_model.unavailable_reason(model, self.draft)

    def draft_model(self, model: LoadedModel) -> LoadedModel:
        return draft_model.load_draft(model, self.draft)

    def held_beside(self, model: LoadedModel) -> Beside:
        return draft_model.needed(model, self.draft)

    @torch.inference_mode()
    def decode(self, job: Job) -> Iterator[Step]:
        draft = self._kept = draft_model.load_draft(
            job.model, self.draft
        )  # from its warm-up on: no step waits for a file
        yield from speculate(job, draft, self.draft_tokens)

    def remarks(self, steps: Sequence[TimedStep]) -> list[str]:
        return remarks(self.info.name, steps)
