"""Early exit: the model's own first layers draft the next tokens, the whole model verifies them in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from kvdemo.core.picture import Picture
from kvdemo.core.types import Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.base import Beside, Job, Strategy, option
from kvdemo.strategies.compatibility import trial
from kvdemo.strategies.compatibility.measured_cache import layers_of
from kvdemo.strategies.draft import verify
from kvdemo.strategies.draft.first_layers import count_of, first_layers
from kvdemo.strategies.draft.steps_with_draft_model import remarks, speculate


class EarlyExit(Strategy):
    """Leaves the model after its first layers, takes the token that they would write, and so drafts a few tokens.

    The whole model then checks them in one pass, as with a draft model, so the text is that of the whole model. No
    second model is needed and no weights are held twice; only the keys and values of the draft come on top. It pays
    where the first layers know most tokens. Models that were trained for it do (LayerSkip, Elhoushi et al. 2024,
    arXiv:2404.16710). Others form their answer in the last layers: a draft of few layers is cheap and mostly wrong,
    one of most layers is mostly right and costs nearly a pass. Move the depth and see it.
    """

    id = "early_exit"
    name = "Early exit"
    summary = "The model's first layers draft the next tokens; the whole model checks them in one pass."
    lossless = True
    picture = Picture(computes="drafted", keeps="all", draft="draft_tokens")
    drafts_from = "draft_tokens"

    depth: int = option(90, "Depth", "Percent of the layers that draft.", low=1, high=99)
    draft_tokens: int = option(2, "Draft tokens", "Tokens drafted for one pass.", low=1, high=32)

    def unavailable_reason(self, model: LoadedModel) -> str | None:
        return verify.unavailable_reason(model) or trial.reason(
            model, self.id, EarlyExit(draft_tokens=1).decode, instead="DynamicCache"
        )

    def draft_model(self, model: LoadedModel) -> LoadedModel:
        return first_layers(model, self.depth / 100)

    def held_beside(self, model: LoadedModel) -> Beside:
        return Beside(layers=(layers_of(model) or ())[: count_of(model, self.depth / 100)])

    @torch.inference_mode()
    def decode(self, job: Job) -> Iterator[Step]:
        yield from speculate(job, self.draft_model(job.model), self.draft_tokens)

    def remarks(self, steps: Sequence[TimedStep]) -> list[str]:
        return remarks(self.info.name, steps)
