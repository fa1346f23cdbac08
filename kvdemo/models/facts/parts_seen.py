"""Note what a pass of a model does: which parts it calls, and what they multiply."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_SOFTMAX = {functional.softmax, torch.softmax, torch.Tensor.softmax}
_PRODUCTS = {functional.linear, torch.addmm, torch.matmul, torch.Tensor.matmul}


class Parts(TorchFunctionMode):
    """Notes which parts a pass calls, how many query heads each layer has, and how many rows a weight is multiplied by.

    Eager attention makes its weights by a softmax over (1, heads, queries, keys), whatever a family calls its heads.
    The part that does so itself says which layer it is of; other parts have softmaxes of their own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.called: set[nn.Module] = set()
        self.query_heads: dict[int, int] = {}
        self.rows: Counter[int] = Counter()
        self._running: list[nn.Module] = []

    def enter(self, part: nn.Module, _: Any) -> None:
        self.called.add(part)
        self._running.append(part)

    def leave(self, *_: Any) -> None:
        self._running.pop()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if func in _SOFTMAX and made.ndim == 4 and self._running:
            layer = getattr(self._running[-1], "layer_idx", None)
            if isinstance(layer, int):
                self.query_heads[layer] = made.shape[1]
        elif func in _PRODUCTS and len(args) > 1:
            rows, weight = args[-2:] if func is torch.addmm else args[:2]
            if isinstance(weight, nn.Parameter):
                self.rows[id(weight)] += rows.shape[:-1].numel()
        return made


@contextmanager
def watched(network: nn.Module) -> Iterator[Parts]:
    """Note what the passes of a model do inside."""
    seen = Parts()
    hooks = [part.register_forward_pre_hook(seen.enter) for part in network.modules()]
    hooks += [part.register_forward_hook(seen.leave) for part in network.modules()]
    try:
        with seen:
            yield seen
    finally:
        for hook in hooks:
            hook.remove()


def idle(module: nn.Module, called: set[nn.Module], path: str = "") -> Iterator[str]:
    """List the parts of a module that were not called, none of their own parts either.

    Not listed are experts, of which the text chooses, and single layers, whose weights may be used without a call.
    """
    for name, part in module.named_children():
        if name == "experts":
            continue
        if any(inner in called for inner in part.modules()):
            yield from idle(part, called, f"{path}{name}.")
        elif any(part.children()):
            yield path + name
