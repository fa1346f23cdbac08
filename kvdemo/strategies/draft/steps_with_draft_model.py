"""Yield the steps of a lane for which another model drafts, token by token: `speculative` and `early_exit` do so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from kvdemo.core.figures import units
from kvdemo.core.types import Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.base import Job
from kvdemo.strategies.draft import draft_model, verify


def speculate(job: Job, draft: LoadedModel, most: int) -> Iterator[Step]:
    """Yield the steps of a lane that drafts at most `most` tokens a pass; the draft's passes and cache are in them."""
    price = draft.read_bytes / job.model.read_bytes
    drafter = draft_model.Drafter(draft, job.model.rows)
    for step in verify.draft_and_verify(job, drafter.guess, most):
        drafted, drafter.passes = tuple(drafter.passes), []
        details: Mapping[str, float] = {
            **step.details,
            "draft_positions": sum(ran.positions for ran in drafted),
            "draft_price": price,
        }
        held = step.cache_bytes + drafter.bytes
        yield replace(step, cache_bytes=held, details=details, passes=drafted + step.passes)


def remarks(name: str, steps: Sequence[TimedStep]) -> list[str]:
    """Say how many drafted tokens were accepted, and how many it takes to pay."""
    passes, drafted, accepted = verify.draft_counts(steps)
    if not drafted:
        return []
    tokens = sum(len(timed.step.choices) for timed in steps[1:])
    run = int(sum(timed.step.details["draft_positions"] for timed in steps))
    price = steps[0].step.details["draft_price"]
    pays = f"where more than {price:.0%} are accepted it pays, if a pass over a draft takes no longer than over one"
    outcome = pays if price < 1 else "no draft can pay"
    return [
        f"{name}: the model accepted {accepted:,} of {units.count(drafted, 'drafted token')} "
        f"({accepted / drafted:.0%}) and wrote {units.figures(tokens / passes)} tokens a step; the draft model ran "
        f"{units.count(run, 'position')} for it.",
        f"By the bytes of the weights that a token reads (formula), a drafted one costs {price:.0%} of a pass of the "
        f"model: {outcome}.",
    ]
