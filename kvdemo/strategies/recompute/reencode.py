"""Tokenise the text and run all of it again for each token; the loop's only state is a string."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from kvdemo.core.errors import BadInput
from kvdemo.core.picture import Picture
from kvdemo.core.types import Pass, Step
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.forward import next_token_logits
from kvdemo.strategies.base import Job, Strategy
from kvdemo.strategies.compatibility import trial


class Reencode(Strategy):
    """Each step tokenises the whole text again, runs all of it through the model, and appends one token's text.

    The state between two steps is the *text*. Two things follow. The work of a step grows with everything
    written so far: n tokens after a prompt of P cost n·P + n(n-1)/2 positions. And the model may read other
    tokens than it chose: when it writes "\\n" twice, the text "\\n\\n" comes back as one token, and from there on
    the model continues a slightly different sequence than a loop that keeps token ids.
    """

    id = "reencode"
    name = "Re-encode"
    summary = "Tokenises the whole text again each step and runs all of it; keeps nothing."
    lossless = True
    picture = Picture(computes="all", keeps="nothing")
    recomputes = True

    def unavailable_reason(self, model: LoadedModel) -> str | None:
        return trial.plain_pass_reason(model)

    @torch.inference_mode()
    def decode(self, job: Job) -> Iterator[Step]:
        text = ""
        while True:
            ids = job.encode(text)
            if len(ids) > (job.model.context_length or math.inf):
                # Half characters come back as more tokens than they were, so even a run that fits can outgrow it.
                raise BadInput(f"Its text reads as {len(ids):,} tokens now, beyond the context: ask for fewer tokens.")
            choice = job.choose(next_token_logits(job.model, ids))
            piece = job.model.piece(choice.token)
            text += piece
            yield Step((choice,), positions=len(ids), texts=(piece,), passes=(Pass(1, len(ids), len(ids)),))
