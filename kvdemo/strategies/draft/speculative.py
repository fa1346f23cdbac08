"""Draft the next tokens with a small model, and verify them with the large one in one pass (speculative decoding)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch

from kvdemo.core import units
from kvdemo.core.picture import Picture
from kvdemo.core.types import Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.base import Job, Strategy, option
from kvdemo.strategies.draft import draft_model, verify


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

    @torch.inference_mode()
    def decode(self, job: Job) -> Iterator[Step]:
        draft = self._kept = draft_model.load_draft(
            job.model, self.draft
        )  # from its warm-up on: no step waits for a file
        price = draft_model.weight_bytes(draft) / draft_model.weight_bytes(job.model)
        drafter = draft_model.Drafter(draft, job.model.rows)
        for step in verify.draft_and_verify(job, drafter.guess, self.draft_tokens):
            drafted, drafter.passes = tuple(drafter.passes), []
            details: Mapping[str, float] = {
                **step.details,
                "draft_positions": sum(ran.positions for ran in drafted),
                "draft_price": price,
            }
            held = step.cache_bytes + drafter.bytes
            yield replace(step, cache_bytes=held, details=details, passes=drafted + step.passes)

    def remarks(self, steps: Sequence[TimedStep]) -> list[str]:
        passes, drafted, accepted = verify.draft_counts(steps)
        if not drafted:
            return []
        tokens = sum(len(timed.step.choices) for timed in steps[1:])
        run = int(sum(timed.step.details["draft_positions"] for timed in steps))
        price = steps[0].step.details["draft_price"]
        pays = f"where more than {price:.0%} are accepted it pays, if a pass over a draft takes no longer than over one"
        outcome = pays if price < 1 else "no draft can pay"
        return [
            f"{self.info.name}: the model accepted {accepted:,} of {units.count(drafted, 'drafted token')} "
            f"({accepted / drafted:.0%}) and wrote {units.figures(tokens / passes)} tokens a step; the draft model ran "
            f"{units.count(run, 'position')} for it.",
            f"By the bytes of their weights (formula), a drafted token costs {price:.0%} of a pass of the model: "
            f"{outcome}.",
        ]
