"""Decode with a DynamicCache, and note what each step ran and what each layer's cache held after it.

Tokens that are given already need not be decoded again: one pass over them fills the cache, and what it held after each
step before follows from the shapes of its tensors (`kvdemo.costs.architecture.LayerCache`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from transformers import Cache, DynamicCache

from kvdemo.core.errors import BadInput
from kvdemo.core.figures.units import count
from kvdemo.inside.panel import CannotShow, Subject
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import cache_layers, fitting_cache
from kvdemo.models.network.forward import next_token_logits, on_device
from kvdemo.samplers.rule import Rule
from kvdemo.strategies.base import Job
from kvdemo.strategies.chooser import Chooser, Picked
from kvdemo.strategies.kv_cache.dynamic_cache import DynamicCached
from kvdemo.strategies.longrope import Factors


@dataclass(frozen=True)
class Held:
    """What the cache of one layer holds: the shapes of keys and values, None without them, and the bytes of all of it.

    positions  those kept; 0 where the layer keeps no keys
    """

    key_shape: tuple[int, ...] | None
    value_shape: tuple[int, ...] | None
    positions: int
    bytes: int


@dataclass(frozen=True)
class Ran:
    """A step: the token that it chose, the positions that it ran, those of the text by then, and each layer's cache."""

    token: int
    positions: int
    length: int
    layers: tuple[Held, ...]


def check_cache(model: LoadedModel) -> None:
    """Raise CannotShow unless the model can go on from a DynamicCache."""
    if reason := DynamicCached().unavailable_reason(model):
        raise CannotShow(f"{model.id} cannot go on from a DynamicCache: {reason}")


def check_fit(subject: Subject) -> None:
    """Raise BadInput, with the largest count that fits, where a run exceeds the context. Its last token is not run."""
    room, new = subject.model.context_length, subject.request.max_new_tokens
    if room is not None and len(subject.ids) + new - 1 > room:
        raise BadInput(
            f"{count(len(subject.ids), 'token')} and {new:,} new ones exceed the {room:,} positions that "
            f"{subject.model.id} can hold: ask for at most {room - len(subject.ids) + 1:,} new tokens."
        )


def decoded(subject: Subject, tokens: Sequence[int] = ()) -> Iterator[Ran]:
    """Decode greedily up to the request's count or an end of text; with `tokens`, take these in place of the likeliest.

    Raises Stopped before a pass once the run is to stop.
    """
    model = subject.model
    job = Job(
        model=model,
        prompt=subject.prompt,
        encode=lambda _: list(subject.ids),
        choose=Prescribed(tokens, model.device) if tokens else Chooser(Rule(), model.device),
        max_new_tokens=len(tokens) or subject.request.max_new_tokens,
    )
    steps, length = DynamicCached().decode(job), len(subject.ids)
    for _ in range(job.max_new_tokens):
        subject.check()
        step = next(steps)
        yield Ran(step.tokens[0], step.positions, length, held(step.cache))
        if not tokens and step.tokens[0] in model.eos_ids:
            return
        length += 1


def given(subject: Subject) -> Iterator[Ran]:
    """Yield the steps that write the request's continuation, from one pass over all of it."""
    model, tokens = subject.model, subject.request.continuation
    subject.check()
    last = held(_filled(model, subject.run_ids))
    length = len(subject.run_ids)
    kinds = model.layers
    if kinds is None or [layer.positions for layer in last] != [
        layer.kept(length) if layer.kv_heads else 0 for layer in kinds
    ]:
        yield from decoded(subject, tokens)  # by no formula: the cache must be seen after each step
        return
    factors = Factors(model)
    for number, token in enumerate(tokens):
        at = len(subject.ids) + number
        layers = []
        for layer, kind in zip(last, kinds, strict=True):
            more = kind.kept(length) - kind.kept(at)
            kept = layer.bytes - more * kind.bytes_per_position(model.dtype.itemsize)
            layers.append(replace(layer, positions=layer.positions - (more if layer.key_shape else 0), bytes=kept))
        again = factors.change(at)
        yield Ran(token, at if again or not number else 1, at, tuple(layers))


def run_ids(subject: Subject) -> list[int]:
    """Return the tokens that decoding runs through the model: the text, and what is written after it but for the last.

    They are decoded unless they are given or another panel has decoded them; a model that cannot go on from a cache
    runs the text alone.
    """
    if subject.request.continuation:
        return subject.run_ids
    try:
        check_cache(subject.model)
    except CannotShow:
        return subject.ids
    check_fit(subject)
    if not subject.written:
        subject.written[:] = [ran.token for ran in decoded(subject)]
    return [*subject.ids, *subject.written[:-1]]


def held(cache: Cache) -> tuple[Held, ...]:
    """Read what a cache holds now, layer by layer."""
    found = []
    for layer in cache.layers:
        tensors = dict(cache_layers.named_tensors(layer))
        keys, values = (tuple(tensors[name].shape) if name in tensors else None for name in ("keys", "values"))
        positions = keys[2] if keys and len(keys) == 4 else 0
        found.append(Held(keys, values, positions, sum(tensor.nbytes for tensor in tensors.values())))
    return tuple(found)


class Prescribed(Chooser):
    """Chooses the tokens that are given, one after the other."""

    def __init__(self, tokens: Sequence[int], device: torch.device) -> None:
        super().__init__(Rule(), device)
        self.plain = False  # each token is asked for
        self._tokens = iter(tokens)

    def __call__(self, logits: torch.Tensor) -> Picked:
        token = next(self._tokens)
        return Picked(token, ids=torch.tensor([token], device=logits.device), logits=logits)


@torch.inference_mode()
def _filled(model: LoadedModel, ids: Sequence[int]) -> DynamicCache:
    cache = fitting_cache.dynamic_cache(model.network)
    next_token_logits(model, on_device(model, ids), cache)
    return cache
