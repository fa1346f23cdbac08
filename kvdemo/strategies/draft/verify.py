"""Guess the next tokens cheaply, then let the model look at all of them in one forward pass.

At batch 1 a forward pass mostly waits for the weights to come from memory, so a pass over eight positions takes little
longer than one over a single position. Who has a guess of the next tokens can therefore check them all for about the
price of one (Leviathan et al. 2023, arXiv:2211.17192). Each position of the pass says which token the model itself
writes there. As long as that is the guessed one, the next position was computed on the right text and counts too; at
the first other token the model's own is taken and the rest of the guess is cut off the cache.

The token at each position is always the model's own, picked by the lane's rule from the model's own distribution. A
guess decides how many are picked in one pass, and never which: greedy or sampled, the text is that of a lane that
guesses nothing, up to the rounding of a pass over several positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from transformers import Cache, DynamicCache

from kvdemo.core.types import Pass, Step, TimedStep
from kvdemo.models.forward import forward, next_token_logits, on_device
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.base import Job
from kvdemo.strategies.chooser import Picked
from kvdemo.strategies.longrope import Factors
from kvdemo.strategies.trial import scripted, support, trial

#: All ids so far, prompt included, and a number: at most so many ids that may come next.
Guess = Callable[[Sequence[int], int], list[int]]


def unavailable_reason(model: LoadedModel) -> str | None:
    """Why a wrong guess could not be taken back out of this model's cache."""
    if reason := support.unavailable_reason(model):
        return reason
    fresh = DynamicCache(config=model.network.config)
    # Some models keep more than the cache's own layers know of; transformers marks these as stateful.
    if not fresh.is_croppable or getattr(model.network, "_is_stateful", False):
        return "a wrong guess must be cut off the cache, and this model has layers whose state cannot be turned back."
    return trial.reason(model, "speculate", _tried, instead="DynamicCache")


def _tried(job: Job) -> Iterator[Step]:
    """What is tried on a model: drafts of which one token is right and one is wrong."""
    yield from draft_and_verify(job, scripted.half_right(job), most=2)


def draft_and_verify(job: Job, guess: Guess, most: int) -> Iterator[Step]:
    """Prefill, then one pass a step over the newest token and a guess of at most `most` tokens behind it.

    No pass reaches beyond the context or the tokens that will be asked for. Where the text crosses a line of longrope,
    the step is a prefill again.
    """
    written, factors = job.encode(""), Factors(job.model)
    end = min(len(written) + job.max_new_tokens, job.model.context_length or math.inf)
    cache: DynamicCache | None = None
    while True:
        if factors.change(len(written)) or cache is None:
            cache = DynamicCache(config=job.model.network.config)
            choice = job.choose(next_token_logits(job.model, written, cache))
            nothing = {"drafted": 0, "accepted": 0} | factors.details
            yield Step((choice,), len(written), cache=cache, details=nothing)
            cache.activate_past_recording()  # layers with a window now keep what a crop may bring back
            written.append(choice.token)
            newest = choice.ids
            continue
        room = int(min(most, end - len(written) - 1))  # behind the guess the pass writes one more token
        room = factors.room(len(written), room)
        drafted = guess(written, room) if room > 0 else []
        held = len(written) - 1
        choices = verify_draft(job, cache, newest, drafted)
        written += [choice.token for choice in choices]
        newest = choices[-1].ids
        details = {"drafted": len(drafted), "accepted": len(choices) - 1}
        run = 1 + len(drafted)
        ran = Pass(1, run, held + run, logits=run, rejected=run - len(choices))
        yield Step(tuple(choices), run, cache=cache, details=details, passes=(ran,))


def verify_draft(job: Job, cache: Cache, newest: Tensor, drafted: Sequence[int]) -> list[Picked]:
    """One pass over the newest token, shape (1,), and a draft: the tokens that the model writes there.

    One choice is made for each token committed, in order: one more than are accepted. The cache ends behind the last
    accepted token.
    """
    ids = torch.cat((newest, on_device(job.model, drafted))) if drafted else newest
    choices = job.choose.while_expected(forward(job.model, ids[None], cache, keep=len(ids))[0], drafted)
    cache.crop(len(choices) - len(ids))  # so many positions from the end; 0 trims what was kept for a crop
    return choices


def draft_counts(timed: Sequence[TimedStep]) -> tuple[int, int, int]:
    """Steps behind the prefill, tokens drafted in them and drafted tokens that the model accepted."""
    details = [one.step.details for one in timed[1:]]
    return len(details), int(sum(d["drafted"] for d in details)), int(sum(d["accepted"] for d in details))
