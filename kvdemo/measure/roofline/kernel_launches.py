"""Count the operations that a forward pass gives to the device.

Multiplied by the time of one launch (`device_peaks.DevicePeaks.launch_s`), this is the least time that a pass takes
however small the work is: the floor of a small model on a large GPU.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import PreTrainedConfig

from kvdemo.core.errors import BadInput
from kvdemo.core.types import Step
from kvdemo.models.facts import meta_run
from kvdemo.models.network import cache_argument

log = logging.getLogger(__name__)


def operations_of_pass(config: PreTrainedConfig, name: str) -> int | None:
    """Count the operations of a pass of one position with a cache, on the meta device; None where it cannot be tried.

    Attention is the eager one, which has more operations than another.
    """
    try:
        trial = meta_run.run_trial(config, name)
        return meta_run.try_build(name, lambda: _operations(trial))
    except BadInput as error:
        log.info("%s", error)
        return None


def _operations(trial: meta_run.Trial) -> int:
    with meta_run.on_meta(), LaunchCounter() as counter:
        ids = torch.zeros((1, 1), dtype=torch.long)
        trial.network(input_ids=ids, **cache_argument.cache_kwargs(trial.network, trial.cache))
    return counter.computed


class Launches:
    """Counts the operations of a strategy's steps while it is switched on.

    on        set it before a step, and that step is counted. It takes longer for that
    per_pass  operations of the last counted step, for each of its forward passes; None before

    Counted are the calls that reach torch's dispatcher while the step runs, the choice of the token included. A call
    that only looks at a tensor in another way (view, transpose, slice), or that gives its input back (dropout when
    decoding, a conversion to the number format that a tensor has already), computes nothing and is not counted.
    Compiled code must not be counted: it is compiled anew under a counter.
    """

    def __init__(self) -> None:
        self.on = False
        self.per_pass: float | None = None

    def over(self, steps: Iterator[Step]) -> Iterator[Step]:
        """Pass the steps on. It goes around a strategy's generator, inside of what records its choices."""
        while True:
            with LaunchCounter() if self.on else nullcontext() as counter:
                step = next(steps, None)
            if step is None:
                return
            if counter and step.positions:
                self.per_pass = counter.computed / (len(step.passes) or 1)
            yield step


class LaunchCounter(TorchDispatchMode):
    """Receives every operation on its way to the device, and counts those that compute."""

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
    """Return the memory in which a tensor lies, as a number that tells it from others."""
    return tensor.untyped_storage()._cdata


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors in some arguments, however deep in lists and dictionaries."""
    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, dict):
        yield from _tensors(tuple(values.values()))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _tensors(value)
