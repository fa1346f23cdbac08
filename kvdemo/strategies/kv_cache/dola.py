"""Contrast the last layer's distribution with that of an earlier layer (DoLa)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean

import torch
from torch import Tensor

from kvdemo.core.errors import BadInput
from kvdemo.core.figures import units
from kvdemo.core.picture import Picture
from kvdemo.core.types import Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import fitting_cache
from kvdemo.models.network.forward import Ids, on_device
from kvdemo.models.network.hidden_states import forward_with_states
from kvdemo.strategies.base import Job, Strategy, option
from kvdemo.strategies.chooser import Picked
from kvdemo.strategies.compatibility import cache_support, trial
from kvdemo.strategies.longrope import Reading

#: From logits of the last layer, (vocab,), and of earlier layers, (layers, vocab): a token, and figures of the step.
Pick = Callable[[Tensor, Tensor], tuple[Picked, Mapping[str, float]]]

#: How far the head on the last hidden state may be from the logits, as a share of the largest: rounding in 16 bits.
_ROUNDING = 0.01


class DoLa(Strategy):
    """Writes what the last layers add to the earlier ones, rather than what is likely in both.

    The head turns the hidden state of an early layer into a distribution q too, as it does with the last layer's into
    p. Of some candidate layers, DoLa takes the one whose q differs most from p (Jensen-Shannon divergence), and scores
    a token by log p(v) - log q(v). What all layers agree on, such as grammar, cancels; what the last ones know comes
    out. Scores of unlikely tokens would be noise, so only tokens with p(v) >= 0.1 · max(p) are kept. It is cached as
    usual, one pass a token; the head runs on each candidate layer as well. It was found to help with facts in models
    of 7 billion parameters and more; high layers for short answers, low ones for reasoning. In small models, whose last
    layers know little more, the contrast is mostly noise, and texts repeat: the paper sets a repetition penalty of 1.2
    beside it. The lane's samplers work on the contrasted scores; the log-probabilities shown are those of p.
    Chuang et al. 2023, arXiv:2309.03883.
    """

    id = "dola"
    name = "DoLa"
    summary = "Scores tokens by what the last layer adds to an earlier one."
    lossless = False
    picture = Picture(computes="new", keeps="all")

    layers: str = option(
        "low", "Layers", "Half of the layers that is contrasted with the last.", choices=("low", "high")
    )
    plausibility: float = option(
        0.1, "Plausibility", "Share of the highest probability that a token needs; 0 keeps all.", low=0, high=1
    )

    def unavailable_reason(self, model: LoadedModel) -> str | None:
        if reason := cache_support.unavailable_reason(model):
            return reason
        if model.network.get_output_embeddings() is None:
            return "it has no head that could be put on an earlier layer."
        return trial.reason(model, self.id, _tried, instead="DynamicCache")

    @torch.inference_mode()
    def decode(self, job: Job) -> Iterator[Step]:
        layers = candidates(job.model, self.layers)

        def pick(last: Tensor, earlier: Tensor) -> tuple[Picked, Mapping[str, float]]:
            chosen, divergence = most_different(last, earlier)
            scores = contrast(last, earlier[chosen], self.plausibility)
            choice = job.choose(scores).after("contrast of layers", last)
            place, apart = torch.stack((chosen.to(divergence), divergence)).tolist()  # a second copy, to tell the layer
            return choice, {"layer": layers[int(place)], "divergence": apart}

        yield from _steps(job, layers, pick)

    def remarks(self, steps: Sequence[TimedStep]) -> list[str]:
        choices = [choice for timed in steps for choice in timed.step.choices]
        others = sum(choice.runner_up_logprob > choice.logprob for choice in choices)
        used = Counter(int(timed.step.details["layer"]) for timed in steps)
        (layer, times), *_ = used.most_common(1)
        apart = fmean(timed.step.details["divergence"] for timed in steps)
        return [
            f"{self.info.name} took another than the likeliest token for {others:,} of "
            f"{units.count(len(choices), 'token')}. It contrasted with {units.count(len(used), 'layer')}, most often "
            f"with layer {layer} ({times:,} of {units.count(len(steps), 'step')}); the Jensen-Shannon divergence from "
            f"the last layer was {apart:.2f} on average (at most {math.log(2):.2f})."
        ]


def candidates(model: LoadedModel, half: str) -> list[int]:
    """List every second layer of the lower or the upper half; in models of more than 40 layers, of 20 layers.

    0 is the embedding, which is left out where the head has the same weights: it would give the token back.
    """
    total = model.layer_count
    size = 20 if total > 40 else total // 2
    if half == "high":
        return list(range(total - size if total > 40 else size, total, 2))
    head, embedding = model.network.get_output_embeddings(), model.network.get_input_embeddings()
    tied = head is not None and head.weight is embedding.weight
    start = min(2, total // 2) if tied else 0
    return list(range(start, size, 2)) or [start]


def most_different(last: Tensor, earlier: Tensor) -> tuple[Tensor, Tensor]:
    """Find the layer whose distribution differs most from the last one's: its place and the divergence, on the device.

    Logits of shape (vocab,) and (layers, vocab). Jensen-Shannon divergence in nats: the mean of KL(p, m) and KL(q, m)
    with m = (p + q) / 2.
    """
    p, q = last.float().log_softmax(-1), earlier.float().log_softmax(-1)
    m = torch.logaddexp(p, q) - math.log(2)
    divergence = (p.exp() * (p - m) + q.exp() * (q - m)).sum(-1) / 2
    place = divergence.argmax()
    return place, divergence[place]


def contrast(last: Tensor, earlier: Tensor, plausibility: float) -> Tensor:
    """Score each token by log p - log q, and -inf where p is below a share of its largest: shape (vocab,), float32."""
    p, q = last.float().log_softmax(-1), earlier.float().log_softmax(-1)
    implausible = p.exp() < plausibility * p.max().exp()
    return (p - q).masked_fill(implausible, -torch.inf)


def _steps(job: Job, layers: Sequence[int], pick: Pick) -> Iterator[Step]:
    """Decode with a cache; `pick` gets the logits of each step, and those of the head on earlier layers."""
    head = job.model.network.get_output_embeddings()
    cache = fitting_cache.dynamic_cache(job.model.network)
    new_ids: Ids = job.encode("")
    reading = Reading(job.model)
    while True:
        if (text := reading.start_over(new_ids)) is not None:
            new_ids, cache = text, fitting_cache.dynamic_cache(job.model.network)
        last, states = forward_with_states(job.model, on_device(job.model, new_ids)[None], cache, layers)
        choice, figures = pick(last[0], head(torch.stack([state[0, -1] for state in states])))
        yield Step((choice,), positions=len(new_ids), cache=cache, details=reading.details | dict(figures))
        new_ids = choice.ids


def _tried(job: Job) -> Iterator[Step]:
    """Try that the head on the last hidden state gives the logits."""

    def pick(last: Tensor, earlier: Tensor) -> tuple[Picked, Mapping[str, float]]:
        if float((earlier[-1] - last).abs().max()) > _ROUNDING * float(last.abs().max()):
            raise BadInput(
                "it changes its scores behind the head, so an earlier layer has none to compare: use DynamicCache."
            )
        return job.choose(last), {}

    return _steps(job, [*candidates(job.model, "low"), *candidates(job.model, "high"), -1], pick)
