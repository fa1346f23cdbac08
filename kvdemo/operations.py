"""How many operations one decoding step gives to the device.

Multiplied by what launching one costs (`limits.Limits.launch_s`), this is the least time that a step takes on a
device for which the work itself is nothing: the floor under a small model on a large GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from kvdemo import strategies
from kvdemo.models.loaded import LoadedModel, Prompt
from kvdemo.strategies._choose import Chooser
from kvdemo.strategies.base import Job


def operations(model: LoadedModel, prompt_len: int) -> int:
    """The operations of one cached decoding step after a prompt of so many tokens, the choice of the token included.

    Counted while the step runs, on the calls that reach torch's dispatcher. A call that only looks at a tensor in
    another way (view, transpose, slice), or that gives its input back (dropout when decoding, a conversion to the
    number format that a tensor has already), computes nothing and is not counted.
    """
    job = Job(
        model=model,
        prompt=Prompt("", special=False),
        encode=lambda _: [0] * prompt_len,
        choose=Chooser(0.0, 1.0, 0, model.device),
        max_new_tokens=2,
    )
    steps = strategies.get("dynamic_cache").decode(job)
    next(steps)  # the prefill
    with _Counter() as counter:
        next(steps)
    return counter.computed


class _Counter(TorchDispatchMode):
    """Sees every operation on its way to the device, and counts those that compute."""

    def __init__(self) -> None:
        super().__init__()
        self.computed = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        there = {_storage(t) for t in _tensors((args, kwargs))}
        in_place = func._schema.is_mutable and func is not torch.ops.aten.detach_.default
        if in_place or any(_storage(t) not in there for t in _tensors(result)):
            self.computed += 1
        return result


def _storage(tensor: torch.Tensor) -> int:
    """What memory a tensor lies in, as a number that tells it from others."""
    return tensor.untyped_storage()._cdata


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    """The tensors in some arguments, however deep in lists and dictionaries."""
    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, dict):
        yield from _tensors(tuple(values.values()))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _tensors(value)
