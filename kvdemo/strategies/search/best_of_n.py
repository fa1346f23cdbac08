"""Draw several texts in one batch, and keep the one that the model finds likeliest (best of n)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean

import torch
from torch import Tensor

from kvdemo.core.errors import BadInput
from kvdemo.core.figures import units
from kvdemo.core.picture import Picture
from kvdemo.core.settings.race import Sampling
from kvdemo.core.types import BeamNode, Choice, Pass, Step, TimedStep
from kvdemo.models.device import widest
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import fitting_cache
from kvdemo.models.network.forward import forward
from kvdemo.samplers import Rule
from kvdemo.samplers.registry import SEED
from kvdemo.strategies.base import Job, Strategy, option
from kvdemo.strategies.chooser import Chooser
from kvdemo.strategies.compatibility import cache_support, trial
from kvdemo.strategies.longrope import Factors

#: Between the seeds of two rows: far enough apart that lanes of neighbouring seeds draw no text in common.
SEEDS_APART = 1_000_003


class BestOfN(Strategy):
    """Draws n texts as the rows of one batch, and shows the one whose tokens are likeliest on average.

    The score of a text y of T tokens is (1/T) · sum_t log p(y_t | y_<t), by the model's own distribution: the mean, as
    the sum would favour the shortest. The prompt runs once and its keys and values are copied to n rows. Every row
    draws by the lane's rule with a seed of its own; the first has the lane's, so it is the text that DynamicCache draws
    with the same settings. Each row goes on until it ends; a text shows once all
    have. It takes n rows of cache, and on a GPU little more time than one. It wins where a high temperature gives
    good and bad texts: the mean tells which derailed. It cannot tell a dull text from a good one: the likeliest of many
    draws comes close to greedy decoding. With a reward model in place of the mean it is how answers are picked with
    more computing at inference (Stiennon et al. 2020, arXiv:2009.01325; Cobbe et al. 2021, arXiv:2110.14168).
    """

    id = "best_of_n"
    name = "Best of n"
    summary = "Draws several texts side by side and keeps the likeliest of them."
    lossless = False
    picture = Picture(computes="new", keeps="all")
    searches = True
    no_candidates = "All texts are drawn within one timed step, in which nothing is recorded: the tree shows them."
    rows_from = "rows"
    prefills_once = True

    rows: int = option(4, "Rows", "Texts that are drawn.", low=2, high=64)

    def unavailable_reason(self, model: LoadedModel) -> str | None:
        return cache_support.unavailable_reason(model) or trial.reason(model, self.id, _tried, instead="DynamicCache")

    @torch.inference_mode()
    def decode(self, job: Job) -> Iterator[Step]:
        """Make one Step of the whole run: which text is best is known when all have ended."""
        if job.sampling.greedy:
            raise BadInput(
                "Best of n draws its texts, and at temperature 0 all would be equal: set a temperature above 0, as in "
                f"{self.id}:temperature=0.8."
            )
        yield _best(job, self.rows)

    def remarks(self, steps: Sequence[TimedStep]) -> list[str]:
        found = steps[-1].step.details
        first = f"the one drawn first {found['first_mean']:.2f}" if found["best_row"] else "which was drawn first"
        return [
            f"{self.info.name} drew {units.count(int(found['rows']), 'text')}. The best has a mean log-probability of "
            f"{found['best_mean']:.2f} a token, {first}, all of them {found['mean_of_means']:.2f} on average and the "
            f"worst {found['worst_mean']:.2f}."
        ]


def _tried(job: Job) -> Iterator[Step]:
    """Try whether rows that were copied from the prompt's go on rightly."""
    yield _best(replace(job, sampling=Rule(Sampling(temperature=1.0))), rows=2)


def _best(job: Job, rows: int) -> Step:
    """Draw all rows to their ends; the step of the text with the highest mean log-probability."""
    model, ids, factors = job.model, job.encode(""), Factors(job.model)
    end = int(min(job.max_new_tokens, (model.context_length or math.inf) - len(ids)))
    choosers = [_chooser(job, ids, row) for row in range(rows)]
    texts: list[list[Choice]] = [[] for _ in choosers]
    ended: dict[int, int] = {}
    passes: list[Pass] = []
    again: dict[str, float] = {}
    cache, new_ids = fitting_cache.dynamic_cache(model.network), torch.tensor([ids], device=model.device)
    while len(texts[0]) < end and len(ended) < rows:
        context = len(ids) + len(texts[0])
        if factors.change(context):
            cache = fitting_cache.dynamic_cache(model.network)
            new_ids = torch.tensor([[*ids, *(c.token for c in text)] for text in texts], device=model.device)
        elif len(passes) == 1:
            cache.reorder_cache(torch.zeros(rows, dtype=torch.long, device=model.device))  # the prompt's row, copied
        again |= factors.details
        logits = forward(model, new_ids, cache)[:, -1]
        passes.append(Pass(new_ids.shape[0], new_ids.shape[1], context))
        logits = logits.expand(rows, -1)
        tokens = torch.stack([choose.pick(row) for choose, row in zip(choosers, logits, strict=True)])
        for row, choice in enumerate(_recorded(tokens, logits)):
            texts[row].append(choice)
            if choice.token in job.ends:
                ended.setdefault(row, len(texts[row]))
        new_ids = tokens[:, None]
    written = [text[: ended.get(row)] for row, text in enumerate(texts)]
    means = [fmean(choice.logprob for choice in text) for text in written]
    order = sorted(range(rows), key=lambda row: -means[row])
    figures = {
        "rows": rows,
        "best_row": order[0],
        "best_mean": means[order[0]],
        "first_mean": means[0],
        "mean_of_means": fmean(means),
        "worst_mean": min(means),
    }
    return Step(
        tuple(written[order[0]]),
        sum(ran.rows * ran.positions for ran in passes),
        cache=cache,
        details=figures | again,
        levels=_levels([written[row] for row in order]),
        passes=tuple(passes),
    )


def _chooser(job: Job, ids: Sequence[int], row: int) -> Chooser:
    """Make a row's own chooser: the lane's rule, with a seed of its own and the text of this row."""
    rule = job.sampling
    return Chooser(Rule(rule.race, {**rule.given, SEED: rule.seed + SEEDS_APART * row}), job.model.device, lambda: ids)


def _recorded(tokens: Tensor, logits: Tensor) -> list[Choice]:
    """Record each row's choice with its log-probability and runner-up, in one copy: shapes (rows,) and (rows, vocab).

    Ids are whole numbers below 2**24, which float32 and float64 carry exactly. Raises BadInput for logits that are no
    numbers.
    """
    logprobs = logits.float().log_softmax(-1)
    top, wide = logprobs.topk(2), widest(logits.device)
    own = logprobs.gather(1, tokens[:, None])
    parts = (tokens[:, None], own, top.indices, top.values)
    found = []
    for token, logprob, *best in torch.cat([part.to(wide) for part in parts], 1).tolist():
        if not math.isfinite(logprob):
            raise BadInput("The model's logits are not finite numbers in this number format: run it in float32.")
        runner_up = 1 if best[0] == token else 0
        found.append(Choice(int(token), logprob, int(best[runner_up]), best[2 + runner_up]))
    return found


def _levels(texts: Sequence[Sequence[Choice]]) -> tuple[tuple[BeamNode, ...], ...]:
    """Make a tree of the texts, the best first in each level, as far as the best goes; an ended one is in no more."""
    levels, places, scores = [], dict.fromkeys(range(len(texts)), 0), dict.fromkeys(range(len(texts)), 0.0)
    for at in range(len(texts[0])):
        going = [row for row, text in enumerate(texts) if len(text) > at]
        for row in going:
            scores[row] += texts[row][at].logprob
        levels.append(
            tuple(BeamNode(places[row], texts[row][at].token, texts[row][at].logprob, scores[row]) for row in going)
        )
        places = {row: place for place, row in enumerate(going)}
    return tuple(levels)
