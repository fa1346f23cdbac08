"""Verify drafted tokens, whatever drafts them, with the model in one forward pass.

At batch 1 a forward pass mostly waits for the weights to come from memory, so a pass over eight positions takes little
longer than one over a single position. Several drafted tokens can therefore be verified in about the time of one
(Leviathan et al. 2023, arXiv:2211.17192). Each position of the pass gives the token that the model itself writes there.
As long as that is the drafted one, the next position was computed on the right text and counts too. At the first other
token the model's own is taken, and the rest of the draft is cut off the cache.

The token at each position is always the model's own, picked by the lane's rule from the model's own distribution. A
draft decides how many tokens are picked in one pass, and never which: greedy or sampled, the text is that of a lane
that drafts nothing, up to the rounding of a pass over several positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from transformers import Cache, DynamicCache

from kvdemo.core.types import Pass, Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import fitting_cache
from kvdemo.models.network.forward import forward, next_token_logits, on_device
from kvdemo.strategies.base import Job
from kvdemo.strategies.chooser import Picked
from kvdemo.strategies.compatibility import cache_support, scripted_lane, trial
from kvdemo.strategies.longrope import Factors

#: From all ids so far, prompt included, and a number: at most that many ids that may come next.
Guess = Callable[[Sequence[int], int], list[int]]
#: Takes the logits of a pass over the newest token and a draft, shape (n, vocab), and how many drafted tokens hold.
TakeIn = Callable[[Tensor, int], None]


def unavailable_reason(model: LoadedModel) -> str | None:
    """Say why a wrong draft could not be cut off this model's cache again; None if it can."""
    if reason := cache_support.unavailable_reason(model):
        return reason
    fresh = fitting_cache.dynamic_cache(model.network)
    # Some models keep more than the cache's own layers know of; transformers marks these as stateful.
    if not fresh.is_croppable or getattr(model.network, "_is_stateful", False):
        return "a wrong guess must be cut off the cache, and this model has layers whose state cannot be turned back."
    return trial.reason(model, "speculate", _tried, instead="DynamicCache")


def _tried(job: Job) -> Iterator[Step]:
    """Try drafts of which one token is right and one is wrong."""
    yield from draft_and_verify(job, scripted_lane.half_right(job), most=2)


def draft_and_verify(job: Job, guess: Guess, most: int, take_in: TakeIn = lambda *_: None) -> Iterator[Step]:
    """Run the prompt, then a step a pass over the newest token and a draft of at most `most` tokens after it.

    No pass reaches beyond the context or the tokens that will be asked for. Where the text exceeds a length at which
    longrope changes its factors, the step is a prefill again. `take_in` learns from each pass, within the step.
    """
    written, factors = job.encode(""), Factors(job.model)
    end = min(len(written) + job.max_new_tokens, job.model.context_length or math.inf)
    cache: DynamicCache | None = None
    while True:
        if factors.change(len(written)) or cache is None:
            cache = fitting_cache.dynamic_cache(job.model.network)
            choice = job.choose(next_token_logits(job.model, written, cache))
            nothing = {"drafted": 0, "accepted": 0} | factors.details
            yield Step((choice,), len(written), cache=cache, details=nothing)
            cache.activate_past_recording()  # layers with a window now keep what a crop may bring back
            written.append(choice.token)
            newest = choice.ids
            continue
        room = int(min(most, end - len(written) - 1))  # after the draft the pass writes one more token
        room = factors.room(len(written), room)
        drafted = guess(written, room) if room > 0 else []
        held = len(written) - 1
        choices = verify_draft(job, cache, newest, drafted, take_in)
        written += [choice.token for choice in choices]
        newest = choices[-1].ids
        details = {"drafted": len(drafted), "accepted": len(choices) - 1}
        run = 1 + len(drafted)
        ran = Pass(1, run, held + run, logits=run, rejected=run - len(choices))
        yield Step(tuple(choices), run, cache=cache, details=details, passes=(ran,))


def verify_draft(
    job: Job, cache: Cache, newest: Tensor, drafted: Sequence[int], take_in: TakeIn = lambda *_: None
) -> list[Picked]:
    """Run one pass over the newest token, shape (1,), and a draft; return the tokens that the model writes there.

    One choice is made for each token committed, in order: one more than are accepted. The cache ends after the last
    accepted token.
    """
    ids = torch.cat((newest, on_device(job.model, drafted))) if drafted else newest
    rows = forward(job.model, ids[None], cache, keep=len(ids))[0]
    choices = job.choose.while_expected(rows, drafted)
    take_in(rows, len(choices) - 1)
    cache.crop(len(choices) - len(ids))  # cut from the end; 0 trims what was kept for a crop
    return choices


def draft_counts(timed: Sequence[TimedStep]) -> tuple[int, int, int]:
    """Count the steps after the prefill, the tokens drafted in them and the drafted tokens that the model accepted.

    Where the lane ended within a draft, tokens behind the end are in neither (`Step.first`).
    """
    details = [one.step.details for one in timed[1:]]
    return len(details), int(sum(d["drafted"] for d in details)), int(sum(d["accepted"] for d in details))
