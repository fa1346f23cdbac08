"""Choose among equal scores in one fixed way, or at random: `torch.topk` does not say which it takes.

A router of experts and an indexer of sparse attention take the highest of their scores. The scores of an indexer go
through a ReLU, so several may be exactly 0. Which of them torch takes depends on how many positions a pass has. So two
lanes that compute the same may read different positions of the text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class Ties(TorchFunctionMode):
    """Decide in every top-k on this thread, while entered, which of equal scores are taken.

    seed  None: those that come first; a number: any, drawn by this seed
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__()
        self._met: list[Tensor] = []
        self._generator = None if seed is None else torch.Generator().manual_seed(seed)

    @property
    def met(self) -> bool:
        """Whether a score that was left out equals one that was taken."""
        return any(map(bool, self._met))

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func in (torch.topk, Tensor.topk):
            return self._topk(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _topk(
        self,
        input: Tensor,  # noqa: A002 - as torch.topk names it
        k: int,
        dim: int = -1,
        largest: bool = True,
        *_sorted: bool,
        **_named: Any,
    ) -> Any:
        if self._generator is None:
            scores, places = input.sort(dim=dim, descending=largest, stable=True)
        else:
            mixed = torch.rand(input.shape, generator=self._generator).argsort(dim).to(input.device)
            scores, order = input.gather(dim, mixed).sort(dim=dim, descending=largest, stable=True)
            places = mixed.gather(dim, order)
        if input.is_floating_point() and not input.is_meta and 0 < k < input.shape[dim]:
            last, left = scores.select(dim, k - 1), scores.select(dim, k)
            masked = last < torch.finfo(scores.dtype).min / 2
            self._met.append(((last == left) & ~masked).any())
        return torch.return_types.topk((scores.narrow(dim, 0, k), places.narrow(dim, 0, k)))
